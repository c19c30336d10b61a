"""What must not leave the process: keys and passwords in command lines, URLs and diffs, and files that hold them.

Pure functions of text. Rather one value too many is hidden than one too few, but a flag about a tokenizer keeps its
value. A secret that has neither a telling name nor a known form is not recognised.
"""

import os
import time
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Callable, List, Mapping, Match, Optional, Pattern, Sequence

MASK = "***"
MAX_ARGUMENTS = 256  #: of a command line; file lists come longer, and tell nothing
SHORTEST = 8  #: characters of a variable's value to be looked for elsewhere; a shorter one is a word of the language
MAX_ARGUMENT = 1024  #: characters of one; a configuration passed as JSON is cut

#: Files that are there to hold secrets, by name, at any depth; a folder so called hides all below it.
SECRET_FILES = (
    *(".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pgpass", ".npmrc", ".pypirc", ".htpasswd"),
    *(".git-credentials", ".ssh", ".aws", ".kube", ".docker", ".gnupg", "id_rsa*", "id_dsa*", "id_ecdsa*"),
    *("id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg", "*.asc"),
    *("*credential*", "*secret*", "*password*", "*passwd*", "*kubeconfig*", "service-account*.json", "*.tfstate"),
    *("*.tfvars", "*apikey*", "*api_key*", "*api-key*", "*.ovpn", "wandb_key*"),
)

_SECRET_WORDS = {
    *("password", "passwd", "pwd", "passphrase", "passcode", "secret", "secrets", "credential", "credentials"),
    *("apikey", "bearer", "authtoken", "accesstoken", "privatekey", "secretkey", "accesskey", "authorization"),
}
_SECRET_KEYS = {"api", "access", "secret", "private", "auth", "account", "signing", "encryption", "service", "license"}
_SECRET_TOKENS = {
    *("auth", "access", "api", "hf", "hub", "wandb", "github", "gitlab", "refresh", "session", "user", "bot"),
    *("personal", "deploy", "job", "id"),
}
_TELLING_WORDS = {
    *("key", "keys", "token", "tokens", "auth", "sas", "pat", "cookie", "session", "signature", "sig", "dsn"),
    *("webhook", "jwt", "otp"),
}
_HARMLESS_ENDINGS = {
    *("file", "path", "dir", "folder", "env", "var", "name", "size", "len", "length", "dim", "limit", "count"),
    *("type", "column"),
}
_NO_SECRETS = {"", "true", "false", "yes", "no", "on", "off", "none", "null", "0", "1"}

# Repetitions that could start anew at each of their own characters are bounded: a diff may hold any text.
# Each is compiled when first needed (`_re`): most configs need none, and `init` waits for it.
_USER_OF_URL = r"(://)[^\s/\"'<>]*@"  # git, too, ends the host at the first slash
_KNOWN_FORMS = (
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[A-Za-z_\-]{0,60}\d)[A-Za-z0-9_\-]{20,}"
    r"|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9\-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_\-]{30,}|nvapi-[A-Za-z0-9_\-]{20,}"
    r"|wandb_v1_[A-Za-z0-9_]{16,}|eyJ[A-Za-z0-9_\-]{8,1024}\.[A-Za-z0-9_\-]{8,1024}\.[A-Za-z0-9_\-]*)"
)
_SPOKEN = r"(?i)\b(bearer|authorization:\s{0,8}basic)\s{1,8}[A-Za-z0-9+/=_.~\-]{8,}"
_SHORTEST_KEY = 15  # characters that the last two match at least
_ASSIGNMENT = (
    r"(?<![\w.\-])(?P<name>[A-Za-z][\w.\-]{0,80})(?P<between>[\"']?\s{0,8}[=:](?!//)\s{0,8})"
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
    r"|(?:(?:[Bb]earer|[Bb]asic|[Tt]oken)\s{1,8})?[\"']?[^\s\"',;&})\]]+)"
)
_WHOLE_ASSIGNMENT = r"(?s)([+~]*[A-Za-z][\w.\-/@]*)=(.*)"
#: One of these is part of every telling name.
_TELLING = (
    *("key", "token", "secret", "pass", "pwd", "auth", "credential", "bearer", "sas", "cookie", "session", "sig"),
    *("dsn", "webhook", "jwt", "otp", "pat"),
)
_WORDS = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+"
_RUN = r"[A-Za-z0-9+=]{12,}"
_KEY_BEGINS, _KEY_ENDS = "-----BEGIN ", "PRIVATE KEY-----"
_LINES_AT_ONCE = 100

_looked_at = float("-inf")
_known: List[str] = []


def mask_command(arguments: Sequence[str], known: Sequence[str] = ()) -> List[str]:
    """A command line with secrets masked, those `known` wherever they stand, at most MAX_ARGUMENTS long."""
    masked: List[str] = []
    awaited = ""  # the flag whose value comes next
    for argument in arguments[:MAX_ARGUMENTS]:
        text = str(argument)
        for secret in known:
            text = text.replace(secret, MASK)
        flag, awaited = awaited, ""
        if flag and not text.startswith("--"):
            masked.append(_cut(_mask_value(flag, text) or _mask_within(text)))
        elif text.startswith("-") and "=" not in text:
            awaited = text.lstrip("-")
            masked.append(_cut(mask_text(text)))
        else:
            masked.append(_cut(_mask_within(text)))
    if len(arguments) > MAX_ARGUMENTS:
        masked.append(f"… and {len(arguments) - MAX_ARGUMENTS} more")
    return masked


def mask_values(value: Any, name: str = "", known: Sequence[str] = ()) -> Any:
    """A plain value (see `keyvalues.plain`) with the secrets in it masked: what has a telling name, what has a known
    form, and every one of `known` wherever it stands.
    """
    if isinstance(value, dict):
        return {key: mask_values(inner, key, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [mask_values(inner, name, known) for inner in value]
    if not isinstance(value, str):
        return value
    for secret in known:
        value = value.replace(secret, MASK)
    return _mask_value(name, value) or mask_text(value)


def secrets_of(environ: Mapping[str, str]) -> List[str]:
    """Values of variables that hold keys and passwords, going by their names, the longest first; no paths, which
    PWD, SSH_AUTH_SOCK and others hold.
    """
    texts = {name: value for name, value in environ.items() if len(value) >= SHORTEST and value[0] not in "/.~"}
    found = {value for name, value in texts.items() if _mask_value(name, value)}
    return sorted(found, key=len, reverse=True)


def known_secrets() -> List[str]:
    """Those of this process's environment, which is looked at once a second at most."""
    global _looked_at, _known
    now = time.monotonic()
    if now - _looked_at > 1.0:
        _looked_at, _known = now, secrets_of(os.environ)
    return _known


def mask_text(text: str) -> str:
    """Text without keys of known forms, and without users and passwords of URLs."""
    if "://" in text:
        text = _re(_USER_OF_URL).sub(r"\1", text)
    if len(text) < _SHORTEST_KEY:
        return text
    return _re(_SPOKEN).sub(rf"\1 {MASK}", _re(_KNOWN_FORMS).sub(MASK, text))


def mask_diff(text: str, pause: Callable[[], None]) -> str:
    """A diff with as many lines as before, without private keys, known forms of keys, and values with a telling name
    that look random. `pause` is called again and again: a regular expression holds up every other thread.
    """
    lines = _without_private_keys(text).splitlines(keepends=True)
    masked: List[str] = []
    for start in range(0, len(lines), _LINES_AT_ONCE):
        part = mask_text("".join(lines[start : start + _LINES_AT_ONCE]))
        masked.append(_re(_ASSIGNMENT).sub(_mask_random, part) if _tells(part) else part)
        pause()
    return "".join(masked)


def clean_url(url: str) -> str:
    """A repository's address without user, password, query and fragment; who logs in by ssh stays."""
    url = url.strip()
    helper, found, rest = url.partition("::")
    if found and helper.isalnum():  # git's remote helpers: "codecommit::eu-west-1://profile@repository"
        return f"{helper}::{MASK}" if helper == "ext" else f"{helper}::{clean_url(rest)}"
    scheme, found, rest = url.partition("://")
    if not found:
        user, at, place = url.rpartition("@")  # "git@host:path", or a folder
        return mask_text(f"{user.partition(':')[0]}@{place}" if at and ":" in user else url)
    rest = rest.partition("?")[0].partition("#")[0]
    authority = rest.partition("/")[0]
    user, at, host = authority.rpartition("@")
    if not at and "@" in rest and not (authority.partition(":")[2] or "0").isdigit():
        host = rest.rpartition("@")[2]  # a password with a slash in it
        return mask_text(f"{scheme}://{host}")
    kept = f"{user.partition(':')[0]}@" if at and "ssh" in scheme.lower() and ":" not in user else ""
    cleaned = mask_text(f"{scheme}://{host}{rest[len(authority) :]}")
    return cleaned.replace("://", f"://{kept}", 1)


def is_secret_file(path: str) -> bool:
    """Whether a file, by its name or by a folder's above it, is there to hold secrets."""
    return any(fnmatchcase(part, pattern) for part in path.lower().split("/") for pattern in SECRET_FILES)


@lru_cache(maxsize=None)  # of the few above
def _re(pattern: str) -> Pattern[str]:
    import re

    return re.compile(pattern)


def _tells(text: str) -> bool:
    """Whether a telling name may stand in it."""
    lower = text.lower()
    return any(part in lower for part in _TELLING)


def _without_private_keys(text: str) -> str:
    parts: List[str] = []
    done = 0
    begin = text.find(_KEY_BEGINS)
    while begin >= 0:
        inside = text.find(_KEY_ENDS, begin, begin + 64)
        after = begin + len(_KEY_BEGINS)
        if inside >= 0:
            end = text.find(_KEY_ENDS, inside + len(_KEY_ENDS))
            after = len(text) if end < 0 else end + len(_KEY_ENDS)
            parts += (text[done:begin], MASK, "\n" * text.count("\n", begin, after))
            done = after
        begin = text.find(_KEY_BEGINS, after)
    return "".join((*parts, text[done:]))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_ARGUMENT else f"{text[:MAX_ARGUMENT]}… ({len(text)} characters)"


def _mask_within(text: str) -> str:
    """Text with the values of telling names masked, wherever `name=value` or `"name": "value"` stands in it."""
    if len(text) > MAX_ARGUMENT * 4:
        text = text[: MAX_ARGUMENT * 4]
    whole = _re(_WHOLE_ASSIGNMENT).fullmatch(text.lstrip("-"))
    if whole is not None:
        value = _mask_value(whole.group(1), whole.group(2))
        if value is not None:
            return f"{text.partition('=')[0]}={value}"
    return mask_text(_re(_ASSIGNMENT).sub(_mask_assignment, text))


def _mask_assignment(found: Match[str]) -> str:
    value = found.group("value")
    masked = _mask_value(found.group("name"), value.strip("\"'"))
    if masked is None:
        return found.group()
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found.group('name')}{found.group('between')}{quote}{masked}{quote if value.endswith(quote) else ''}"


def _mask_random(found: Match[str]) -> str:
    return _mask_assignment(found) if _looks_random(found.group("value").strip("\"'")) else found.group()


def _mask_value(name: str, value: str) -> Optional[str]:
    """The mask when `value` is a secret, going by its name; else None."""
    if not _tells(name) or value.lower() in _NO_SECRETS:
        return None
    words = [word.lower() for word in _re(_WORDS).findall(name)]
    pairs = list(zip(words, words[1:]))
    certain = (
        words == ["token"]
        or not _SECRET_WORDS.isdisjoint(words)
        or any(second == "key" and first in _SECRET_KEYS for first, second in pairs)
        or any(second == "token" and first in _SECRET_TOKENS for first, second in pairs)
    )
    if certain and words[-1] not in _HARMLESS_ENDINGS:
        return MASK
    telling = certain or not _TELLING_WORDS.isdisjoint(words)
    return MASK if telling and _looks_random(value) else None


def _looks_random(value: str) -> bool:
    """Long, with a run of letters and digits such as chance makes, and no path."""
    if len(value) < 16 or value.startswith(("/", "./", "../", "~")) or len(value.split()) > 2:
        return False
    for run in _re(_RUN).findall(value):
        digits = sum(letter.isdigit() for letter in run)
        mixed = digits and sum(map(str.isupper, run)) > 1 and sum(map(str.islower, run)) > 1
        if len(set(run)) >= 8 and not run.isdigit() and (digits >= 3 or mixed):
            return True
    return False
