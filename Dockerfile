# syntax=docker/dockerfile:1
# The collector's image; it carries the client, too.
#
#   docker build -t wayside-collector .
#   docker run --read-only -p 9750:9750 wayside-collector
#
# /metrics and the probes are everybody's there; the rest wants a token (docs/security.md). On a machine of one's own,
# -e WAYSIDE_PUBLIC__ANONYMOUS=reader -p 127.0.0.1:9750:9750 shows it without.
#
# BASE        the last two stages; give a digest to build the same image again: BASE=docker.io/library/python@sha256:…
# EXTRAS      of the collector: `all`, or for instance `mqtt` for a smaller image without the W&B sink
# NODE        builds the page, and stays behind
# REVISION    the commit, for the label
#
# Packages are pinned by requirements-image.txt, with the hash of each file, and the page's by its package-lock.json.
# Wheels and compiled files carry SOURCE_DATE_EPOCH or no time at all; for equal layers let the builder set the times of
# files: BuildKit by --output type=image,name=…,rewrite-timestamp=true, buildah by --timestamp.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG NODE=docker.io/library/node:22-bookworm-slim

FROM ${NODE} AS page
WORKDIR /src/page
COPY page ./
RUN npm ci && npm run build

FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=1767225600
ARG EXTRAS=all
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements-image.txt ./
RUN pip download --no-cache-dir --require-hashes --no-deps --dest /packages --requirement requirements-image.txt \
    && pip install --no-cache-dir --no-index --find-links /packages /packages/hatchling-*.whl
COPY client client
COPY pyproject.toml README.md LICENSE ./
COPY collector collector
COPY --from=page /src/collector/wayside_collector/web/page collector/wayside_collector/web/page
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels ./client .
# Compiled here, since a read-only root takes no .pyc later; by hash, so that the files' times do not matter.
RUN python -m venv --without-pip /opt/wayside/venv \
    && pip --python /opt/wayside/venv/bin/python install --no-cache-dir --no-compile --no-index \
        --find-links /packages /wheels/wayside-*.whl "$(echo /wheels/wayside_collector-*.whl)[${EXTRAS}]" \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/wayside/venv/lib
# The client for other images: as a wheel, and unpacked for any Python, to be copied or mounted where it is found.
RUN pip install --no-cache-dir --no-compile --no-index --no-deps --target /opt/wayside/client/packages \
        /wheels/wayside-*.whl \
    && cp /wheels/wayside-*.whl /opt/wayside/client/ \
    && chmod -R go=u-w /opt/wayside/client

FROM ${BASE}
ARG SOURCE_DATE_EPOCH=1767225600
ARG BASE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="wayside-collector" \
    org.opencontainers.image.description="A sidecar metrics collector for ML training" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="${BASE}"
# The group may write: a training container of another user shares these folders through its fsGroup.
RUN groupadd --gid 65532 wayside \
    && useradd --uid 65532 --gid 65532 --no-log-init --no-create-home --home-dir /var/lib/wayside \
        --shell /usr/sbin/nologin wayside \
    && install --directory --owner=65532 --group=65532 --mode=2770 /run/wayside /var/lib/wayside
# For other images: COPY --from=… /opt/wayside/client /opt/wayside/client, then pip install /opt/wayside/client/*.whl;
# or without pip, PYTHONPATH=/opt/wayside/client/packages.
COPY --from=build /opt/wayside /opt/wayside
ENV PATH=/opt/wayside/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/wayside \
    TMPDIR=/var/lib/wayside \
    WAYSIDE_LISTEN=127.0.0.1:9751 \
    WAYSIDE_LISTEN_PUBLIC=0.0.0.0:9750 \
    WAYSIDE_SOCKET=/run/wayside/wayside.sock \
    WAYSIDE_DIR=/var/lib/wayside
# The only places that are written to; volumes, so that `docker run --read-only` works as it is.
VOLUME ["/run/wayside", "/var/lib/wayside"]
WORKDIR /var/lib/wayside
USER 65532:65532
EXPOSE 9750
# No HEALTHCHECK: Kubernetes has probes of its own (/livez, /readyz) and does not look at it.
ENTRYPOINT ["wayside-collector"]
CMD ["run"]
