"""Is this file a secret?

Covers names that hold credentials by convention and private keys in contents. What is found here is out for good: no
pattern brings it back. Leaves everything else that is left out to defaults.py and content.py.

Tokens in ordinary source files are not searched for. A source file that holds the whole body of a private key is out as
well, tests included: what is indexed is handed to whoever asks, and a missing test file harms less than a key that
leaves the machine. The bare "BEGIN ... PRIVATE KEY" line of code that reads keys is no secret.
"""

import re

_TEMPLATES = frozenset([b".example", b".sample", b".template", b".dist"])
_TEMPLATE_NAMES = frozenset([b"example.env", b"sample.env", b"template.env"])

_ENVIRONMENT = "a file of environment variables, which may hold secrets"
_TERRAFORM = "Terraform's state or variables, which may hold secrets"

_FOLDERS = frozenset([b".ssh", b".gnupg", b".aws", b".azure", b".kube", b".gcloud", b".password-store"])

_FILES: dict[bytes, str] = {
    name: reason
    for reason, names in {
        _ENVIRONMENT: b".env .envrc",
        "a private key by its name": b"id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk",
        "a file of credentials by its name": b""".netrc _netrc .pgpass .my.cnf .mylogin.cnf .npmrc .pypirc .htpasswd
            .git-credentials .dockercfg .dockerconfigjson .s3cfg .boto .vault-token .terraformrc terraform.rc
            credentials.tfrc.json .passwd-s3fs .htdigest credentials.json client_secret.json client_secrets.json
            application_default_credentials.json
            secrets.json secrets.yaml secrets.yml secrets.toml .secrets.toml .secrets.yaml .secrets.json""",
        "a history of commands, which may hold secrets": b""".bash_history .zsh_history .python_history .psql_history
            .mysql_history .sqlite_history .node_repl_history .rediscli_history""",
    }.items()
    for name in names.split()
}

_PRIVATE = "a private key or key store by its name"
_SUFFIXES: dict[bytes, str] = {
    **dict.fromkeys(b".key .p12 .pfx .pkcs12 .jks .keystore .bks .ppk .kdbx .kdb .keychain .p8 .jwk".split(), _PRIVATE),
    **dict.fromkeys(b".tfstate .tfvars".split(), _TERRAFORM),
    b".env": _ENVIRONMENT,
}

# prod-service-account.json, client_secret_123.apps.json
_ACCOUNT = re.compile(rb"(?:.*[-_.])?(?:service[-_]?account|client_secret)(?:[-_.].*)?\.json", re.DOTALL)

_IN_FOLDER = {
    (b".docker", b"config.json"),
    (b".config", b"hub"),
    (b"gh", b"hosts.yml"),
    (b".cargo", b"credentials.toml"),
}
FOLDERS_THAT_MATTER = frozenset(folder for folder, _ in _IN_FOLDER)

# The line that begins a key, soon after it (headers such as Proc-Type may stand between) at least the 64 letters of
# base64 that the shortest key has: in a literal, quotes, escapes and indentation stand between them. Bars of slashes
# are no base64.
_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S]){0,400}?"
    rb"(?:(?!/{8})[A-Za-z0-9+/]{16,}(?:\\[nr]|[\s\"'+,\\;()|#*])*){4,}"
)
_OTHER_KEYS = re.compile(rb"AGE-SECRET-KEY-1[0-9A-Z]{40}|^PuTTY-User-Key-File-\d:", re.MULTILINE)


def why_secret_folder(name: bytes) -> str | None:
    """Why the folder of this name is left out with all it holds, None if it isn't."""
    return "a folder of keys or credentials" if name.lower() in _FOLDERS else None


def why_secret_name(name: bytes, folder: bytes = b"") -> str | None:
    """Why the file of this name, in the folder of that name, is left out; None if its name is no secret's."""
    name = name.lower()
    suffix = name[name.rfind(b".") :] if b"." in name else b""
    reason = _FILES.get(name) or _SUFFIXES.get(suffix) or _why_secret_spelling(name)
    if reason is None and folder in FOLDERS_THAT_MATTER and (folder, name) in _IN_FOLDER:
        reason = "a file of credentials by its name"
    return None if reason is None or suffix in _TEMPLATES or name in _TEMPLATE_NAMES else reason


def _why_secret_spelling(name: bytes) -> str | None:
    if name.startswith(b".env."):
        return _ENVIRONMENT
    if b".tfstate." in name or b".tfvars." in name:  # terraform.tfstate.backup, prod.auto.tfvars.json
        return _TERRAFORM
    return "a file of credentials by its name" if name.endswith(b".json") and _ACCOUNT.fullmatch(name) else None


def why_secret_content(data: bytes) -> str | None:
    """Why these contents are a secret, whatever the name; None if no private key is in them."""
    if b"PRIVATE KEY" in data and _KEY.search(data):
        return "holds a private key"
    if (b"AGE-SECRET-KEY-1" in data or b"PuTTY-User-Key-File-" in data) and _OTHER_KEYS.search(data):
        return "holds a private key"
    return None
