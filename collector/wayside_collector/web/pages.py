"""The pages that are text: the landing page and the login form. Pure; every value that is not ours is escaped."""

import html
import re
from typing import Any

from .. import __version__

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
:root{color-scheme:light dark}
table{border-collapse:collapse;margin:1rem 0}td,th{text-align:left;padding:.2rem 1rem .2rem 0}"""


def landing_page(status: dict[str, Any]) -> str:
    """A plain page: what runs, how the sinks fare, where to look on."""
    sinks = "".join(
        f"<tr><td>{html.escape(name)}<td>{sink['received']}<td>{sink['delivered']}<td>{sink['waiting']}"
        f"<td>{sum(sink['dropped'].values())}<td>{html.escape(sink['last_error'] or '')}"
        for name, sink in status["sinks"].items()
    )
    sessions = "".join(
        f"<tr><td>{html.escape(str(session['run']))}<td>{html.escape(str(session['project']))}"
        f"<td>{'' if session['rank'] is None else session['rank']}<td>{html.escape(str(session['host']))}"
        f"<td>{session['state']}"
        for session in status["sessions"]
    )
    return page(
        f"""<h1>Wayside {html.escape(__version__)}</h1>
<p><a href="/metrics">/metrics</a> for Prometheus · <a href="/status">/status</a> as JSON ·
<a href="/livez">/livez</a> · <a href="/readyz">/readyz</a></p>
<h2>Sinks</h2><table><tr><th>sink<th>received<th>delivered<th>waiting<th>dropped<th>last error{sinks}</table>
<h2>Sessions</h2><table><tr><th>run<th>project<th>rank<th>host<th>state{sessions}</table>"""
    )


def login_page(goes_on: str, problem: str) -> str:
    """A form that asks for a token. goes_on: the path to show afterwards."""
    return page(
        f"""<h1>Wayside</h1>
<p>{html.escape(problem or "This page is shown to those who have a token of this collector.")}</p>
<form method="post" action="/login"><input type="hidden" name="next" value="{html.escape(own_path(goes_on))}">
<label>Token <input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Log in</button></form>"""
    )


def own_path(text: str) -> str:
    """A path on this server, and never another server's address that looks like one."""
    return text if re.fullmatch(r"/(?![/\\])[!-~]{0,2000}", text) else "/"


def page(body: str) -> str:
    """A whole page around this."""
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Wayside</title>
<meta name="viewport" content="width=device-width">
<style>{_STYLE}</style>
{body}</html>"""
