"""What must not leave the process: secrets in command lines, addresses and diffs, and files that hold them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wayside.masking import (
    MASK,
    MAX_ARGUMENT,
    MAX_ARGUMENTS,
    clean_url,
    is_secret_file,
    mask_command,
    mask_diff,
    mask_text,
)

SECRET = "5Ecr3tValueThatNobodyMaySee"  # long, mixed: what a key looks like
FORMS = [
    "sk-proj-abc123DEF456ghi789JKL",
    "hf_abcdefghijklmnopQRSTUV",
    "ghp_abcdefghij0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_xyz",
    "glpat-abcDEF123456ghiJKL78",
    "xoxb-123456789012-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "nvapi-abcDEF123456ghiJKL789mno",
    "wandb_v1_abcdefghijKLMNOP123456",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r",
]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--api-key=SECRET"],
        ["--api-key", "SECRET"],
        ["--api_key", "SECRET"],
        ["--apikey=SECRET"],
        ["--wandbApiKey", "SECRET"],
        ["-password=SECRET"],
        ["--password", "-SECRET"],
        ["--db-password", "SECRET"],
        ["--token", "SECRET"],
        ["--token=SECRET"],
        ["--hf_token", "SECRET"],
        ["--auth-token=SECRET"],
        ["--aws_secret_access_key", "SECRET"],
        ["--AWS_ACCESS_KEY_ID=SECRET"],
        ["--credentials=SECRET"],
        ["--session-key", "SECRET"],
        ["--webhook.sig=SECRET"],
        ["wandb.api_key=SECRET"],
        ["+logger.token=SECRET"],
        ["WANDB_API_KEY=SECRET"],
        ["key=SECRET"],
        ["--config", '{"lr": 1, "api_key": "SECRET", "x": 2}'],
        ["--config={'password': 'SECRET'}"],
        ["--set", "a=1,api_key=SECRET,b=2"],
        ["-H", "Authorization: Bearer SECRET"],
        ["--header=Authorization: Basic SECRET"],
        ["--header", "X-Api-Key: SECRET"],
        ["--url", "https://user:SECRET@host/path"],
        ["--url=postgresql://user:SECRET@host:5432/db"],
        ["https://host/x?token=SECRET&lr=1"],
        ["--dsn", "https://SECRET@sentry.example/1"],
    ],
)
def test_secrets_in_a_command_line_are_masked(arguments: list[str]) -> None:
    """A value with a telling name is masked wherever it stands; what stands around it remains."""
    masked = mask_command(["train.py", *(part.replace("SECRET", SECRET) for part in arguments), "--lr", "0.1"])
    assert SECRET not in " ".join(masked)
    assert masked[0] == "train.py"
    assert masked[-2:] == ["--lr", "0.1"]
    assert len(masked) == len(arguments) + 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--password", "hunter2"],
        ["--password=correct horse battery"],
        ["db.password=correct horse battery"],
        ["--secret", "x"],
        ["--token", "12345"],
        ["--config", '{"password": "correct horse battery"}'],
    ],
)
def test_a_secret_need_not_look_like_one(arguments: list[str]) -> None:
    """With a name that says so, short and plain values are masked whole."""
    joined = " ".join(mask_command(arguments))
    assert MASK in joined
    for word in ("hunter2", "correct", "horse", "battery", "12345", " x"):
        assert word not in joined


@pytest.mark.parametrize("form", FORMS)
def test_known_forms_are_masked_anywhere(form: str) -> None:
    """Keys of known forms are masked whatever stands before them."""
    assert form not in " ".join(mask_command([form, f"--lr={form}", "--name", form, f"a/{form}/b"]))
    assert mask_text(f"see {form}.") in (f"see {MASK}.", f"see {MASK}")


ORDINARY = [
    *("train.py", "--tokenizer", "bert-base-uncased", "--max-tokens", "2048", "--max_new_tokens=16", "--pad_token"),
    *("<pad>", "--eos-token-id", "50256", "--key-dim", "64", "--token-file", "/run/secrets/token", "--use-auth-token"),
    *("--epochs", "3", "--num-keys=8", "optimizer.lr=3e-4", "model.key_proj=true", "--attention-key"),
    *("encoder.layer.12.attention.self.query", "--session-dir", "/data/session_2026-11-20_21-24-32_125575_11271"),
    *(
        "--data",
        "s3://bucket/path",
        "--url",
        "https://host:8443/x?y=1",
        "--secret-name",
        "my-secret",
        "-v",
        "--",
        "a=b",
    ),
    *("--commit", "5f0c0ffee5f0c0ffee5f0c0ffee5f0c0ffee5f0c0", "task-1-sk-learn", "--seed", "1234567890123456789"),
    *("--session", "/data/run-0123456789abcdef01234567", "--auth-method", "clientcredentialsflow"),
    *("hydra.run.dir=outputs/2026-11-20/21-24-32", '{"lr": 0.1, "betas": [0.9, 0.95]}', "--opts", "a:1;b:2"),
]


def test_ordinary_arguments_stay() -> None:
    """A command line without secrets is told as it is, tokenizers, keys of attention and all."""
    assert mask_command(ORDINARY) == ORDINARY


def test_a_flag_that_takes_no_value_hides_none() -> None:
    """After a switch with a telling name the next flag stays."""
    assert mask_command(["--use-auth-token", "--lr", "1"]) == ["--use-auth-token", "--lr", "1"]
    assert mask_command(["--use-auth-token", "True"]) == ["--use-auth-token", "True"]


def test_a_command_line_is_bounded() -> None:
    """Long arguments and many of them are cut, visibly, and a cut one shows no secret either."""
    masked = mask_command(["a"] * (MAX_ARGUMENTS + 2) + ["--token=x"])
    assert len(masked) == MAX_ARGUMENTS + 1
    assert masked[-1] == "… and 3 more"
    (long,) = mask_command(["x" * 5000])
    assert len(long) < MAX_ARGUMENT + 40
    (nested,) = mask_command(['{"a": "' + "x " * 300 + f'", "api_key": "{SECRET * 400}'])
    assert "5Ecr3t" not in nested


@pytest.mark.parametrize(
    ("url", "cleaned"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r.git"),
        ("https://user:SECRET@github.com/o/r.git", "https://github.com/o/r.git"),
        ("https://SECRET@github.com/o/r.git", "https://github.com/o/r.git"),
        ("https://x-access-token:SECRET@github.com:443/o/r", "https://github.com:443/o/r"),
        ("https://user:SEC@RET@host/r", "https://host/r"),
        ("https://user:SEC/RET@host/r", "https://host/r"),
        ("https://user:SE%40CRET@host/r", "https://host/r"),
        ("https://host/r?private_token=SECRET", "https://host/r"),
        ("https://host/r#SECRET", "https://host/r"),
        ("https://proxy/https://user:SECRET@host/r", "https://proxy/https://host/r"),
        ("https://host:8443/@scope/r", "https://host:8443/@scope/r"),
        ("HTTP://User:SECRET@host", "HTTP://host"),
        ("ssh://git@host:22/o/r", "ssh://git@host:22/o/r"),
        ("ssh://git:SECRET@host/o/r", "ssh://host/o/r"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("git:SECRET@github.com:o/r.git", "git@github.com:o/r.git"),
        ("/data/repositories/r", "/data/repositories/r"),
        ("../r@v1", "../r@v1"),
        ("file:///data/r", "file:///data/r"),
        ("codecommit::eu-west-1://SECRET@r", "codecommit::eu-west-1://r"),
        ("http::https://u:SECRET@host/r", "http::https://host/r"),
        ("ext::ssh -i SECRET host", f"ext::{MASK}"),
        ("https://host/ghp_abcdefghij0123456789/r", f"https://host/{MASK}/r"),
        ("  https://user:SECRET@host/r\n", "https://host/r"),
        ("", ""),
    ],
)
def test_addresses_lose_their_credentials(url: str, cleaned: str) -> None:
    """Users, passwords, queries and fragments of a remote's address are gone, the place remains."""
    assert clean_url(url) == cleaned


@given(st.sampled_from(["https", "http", "ftp"]), st.from_regex(r"[a-z0-9:%!$&*()+,;=~._-]{0,12}", fullmatch=True))
def test_no_user_of_an_address_remains(scheme: str, user: str) -> None:
    """Whatever stands between the scheme and the @ is gone."""
    assert clean_url(f"{scheme}://{user}{SECRET}@host/r") == f"{scheme}://host/r"


@pytest.mark.parametrize(
    "path",
    [
        ".env", "deploy/.env.production", "prod.env", "a/b/server.pem", "id_rsa", "keys/id_ed25519.pub", "x.KEY",
        "gcp-credentials.json", "Credentials/aws.txt", "config/secrets.yaml", ".aws/config", ".ssh/known_hosts",
        "home/.netrc", "terraform.tfstate", "prod.tfvars", ".git-credentials", "service-account-1.json", "my_api_key",
    ],
)  # fmt: skip
def test_files_that_hold_secrets(path: str) -> None:
    """Files are known by their names, in any case, at any depth, and by a folder's name above them."""
    assert is_secret_file(path)


@pytest.mark.parametrize(
    "path", ["train.py", "tokenizer.json", "environment.yml", "env.py", "keys.py", "README.md", "src/keyboard/input.c"]
)
def test_files_that_do_not(path: str) -> None:
    """Ordinary code is not taken for a secret."""
    assert not is_secret_file(path)


def test_a_diff_loses_keys_and_keeps_its_lines() -> None:
    """Keys of known forms, private keys and random values with telling names are masked; every line remains."""
    diff = "\n".join(
        [
            "+export WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567",
            f'+    "token": "{SECRET}1234",',
            f"+url = 'https://user:{SECRET}@host/x'",
            f"+{FORMS[0]}",
            "+-----BEGIN RSA PRIVATE KEY-----",
            f"+{SECRET}",
            f"+{SECRET}",
            "+-----END RSA PRIVATE KEY-----",
            "+-----BEGIN CERTIFICATE-----",
            "+token = tokenizer.next_token(state)",
            "+key = encoder.layer.12.attention.self.query.weight_v2",
            "+    password = getpass.getpass()",
            "",
        ]
    )
    masked = mask_diff(diff, lambda: None)
    assert SECRET not in masked
    assert FORMS[0] not in masked
    assert "0123456789abcdef" not in masked
    assert masked.count("\n") == diff.count("\n")
    assert masked.endswith(diff[diff.index("+-----BEGIN CERT") :])
    assert f"+export WANDB_API_KEY={MASK}\n" in masked


def test_a_private_key_without_an_end_takes_the_rest() -> None:
    """A cut diff may lose a key's last line: then everything from its first one is masked."""
    masked = mask_diff(f"a\n-----BEGIN PRIVATE KEY-----\n{SECRET}\n{SECRET}", lambda: None)
    assert masked == f"a\n{MASK}\n\n"


@given(st.text(alphabet="ab=:'\"\\{}+- \n\r\u2028key", max_size=400))
def test_a_diff_without_secrets_stays_as_it_is(text: str) -> None:
    """Text is not changed for its form: only secrets are taken out."""
    assert mask_diff(text, lambda: None) == text


def test_a_large_diff_lets_others_run() -> None:
    """Work on a large diff is done in pieces, with a pause after each."""
    pauses = []
    mask_diff("+ordinary line of code\n" * 10_000, lambda: pauses.append(None))
    assert len(pauses) == 100


@pytest.mark.parametrize("name", ["webhook", "bearer", "DSN", "myPat", "jwt", "X-Sig"])
def test_every_telling_name_is_looked_for_in_a_diff(name: str) -> None:
    """Also where it is the only one in the whole diff."""
    assert SECRET not in mask_diff(f'+{name} = "{SECRET}1234"\n', lambda: None)


@given(st.sampled_from(FORMS), st.text(alphabet=" ,;", max_size=3))
def test_a_known_form_is_masked_however_short_its_text(form: str, after: str) -> None:
    """By itself, as a value of a config."""
    assert mask_text(form + after) == MASK + after
