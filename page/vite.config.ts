import { defineConfig } from "vitest/config";

// Built into the Python package, from where the collector serves it. Vite 6, since Debian 12 has Node 18.
export default defineConfig({
  build: {
    outDir: "../collector/wayside_collector/web/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
  server: { proxy: { "/api": "http://127.0.0.1:9750", "/status": "http://127.0.0.1:9750" } },
  test: { include: ["tests/**/*.test.ts"] },
});
