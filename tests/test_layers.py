"""Import direction is tested, not hoped for: each module may import only what its row names."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import flask_chatix_comments

PACKAGE = "flask_chatix_comments"
ROOT = Path(flask_chatix_comments.__file__).parent

# Everyone may import the standard library. Names with a dot in front are our own modules.
BASE = {".errors", ".models", ".wire", ".tokens"}
STORAGE = {
    ".database",
    ".registry_rows",
    ".registry_connections",
    ".registry_bulk",
    ".registry_visitors",
    ".registry_upkeep",
    ".registry",
    ".registry_lines",
    ".registry_batches",
    ".registry_transfer",
    ".registry_schema",
    ".operations",
    ".room_marks",
    ".rooms",
    ".room_troubles",
    ".room_keeper",
    ".room_lookup",
    ".room_maker",
    ".in_flight",
    ".room_batches",
    ".backfill",
}
FLASK_SIDE = {
    *STORAGE,
    *(
        ".api",
        ".api_answers",
        ".api_http",
        ".api_guard",
        ".api_lines",
        ".in_process",
        ".setting_values",
        ".file_settings",
        ".limit_settings",
        ".config",
        ".keys",
        ".access",
        ".private_rooms",
        ".room_watch",
        ".visitors",
        ".hosted_visitors",
        ".dev_hub",
        ".missing_hub",
        ".own_hub",
        ".state",
        ".room_info",
        ".neighbours",
    ),
    *(".background", ".thread_cache", ".sender_names", ".comment_counts", ".plain_words", ".prose", ".shown_comments"),
    *(".bundle", ".reader_urls", ".plain_rates", ".plain_posting", ".plain_views", ".signals"),
    *(".room_messages", ".sweep", ".room_methods", ".cli_support", ".cli_rooms", ".cli_privacy", ".cli_hub"),
    *(".cli_hub_data", ".cli_visitor", ".retention_settings"),
    *(".room_contents", ".room_mover", ".room_list", ".room_sync", ".room_findings", ".room_check", ".room_repair"),
    ".upkeep_methods",
    *(".cli_posts", ".cli_progress", ".cli_upkeep", ".cli_check", ".cli_transfer", ".cli_schema"),
    *(".view_input", ".leaving", ".entering", ".views", ".templating", ".cli", ".extension", ".asgi"),
}
HUB_INNER = {".errors", ".models", ".tokens", ".hub.service", ".hub.limits", ".hub.names", ".hub.addresses"}
HUB_EDGE = HUB_INNER | {".wire", ".hub.presenter"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "models": {".errors"},
    "shell_words": {".models"},
    "wire": {".models", ".errors"},
    "tokens": {"itsdangerous", ".errors"},
    "process_lock": set(),
    "setting_values": {".errors"},
    "file_settings": {".setting_values", ".errors"},
    "limit_settings": {".setting_values"},
    "retention_settings": {".setting_values"},
    "config": {".retention_settings", ".setting_values", ".file_settings", ".limit_settings", ".errors"},
    "database": {"sqlalchemy", ".errors"},
    "registry_rows": {"sqlalchemy"},
    "registry_connections": {"sqlalchemy", ".database", ".errors"},
    "registry_bulk": {"sqlalchemy", ".database", ".registry_rows", ".registry_connections"},
    "registry_visitors": {"sqlalchemy", ".database", ".registry_connections", ".errors"},
    "registry_upkeep": {"sqlalchemy", ".database", ".registry_rows", ".registry_connections", ".errors"},
    "registry": {
        *("sqlalchemy", ".database", ".registry_rows", ".registry_connections", ".registry_bulk"),
        *(".registry_upkeep", ".registry_visitors", ".errors", ".models"),
    },
    "registry_lines": {"sqlalchemy", ".api_answers", ".database", ".registry_rows", ".models", ".errors"},
    "registry_batches": {
        *("sqlalchemy", ".database", ".registry_lines", ".registry_rows", ".registry_upkeep", ".errors"),
    },
    "registry_transfer": {"sqlalchemy", ".database", ".registry", ".registry_lines", ".registry_batches", ".errors"},
    "registry_schema": {"sqlalchemy", ".database", ".errors"},
    # Alembic's own: nothing of ours, since later versions of that would change what a revision does.
    "migrations": {"alembic", "sqlalchemy"},
    "operations": {".errors"},
    "api_guard": {".errors"},
    "api_deadline": {"httpx"},
    "api_lines": {"httpx", ".api_deadline"},
    "api_http": {"httpx", ".api_deadline", ".api_guard", ".api_lines", ".operations", ".errors"},
    "in_process": {"httpx"},
    "api_answers": {".wire", ".models"},
    "api": {"httpx", ".api_answers", ".api_http", ".operations", ".wire", ".models", ".errors"},
    "room_marks": {".models"},
    "rooms": {".errors", ".models", ".registry", ".registry_upkeep", ".room_marks", ".shell_words"},
    "room_troubles": {".registry", ".errors"},
    "room_keeper": {".registry", ".registry_upkeep", ".rooms", ".room_marks", ".room_troubles", ".models", ".errors"},
    "room_messages": {".registry", ".room_troubles", ".wire", ".models", ".errors"},
    "in_flight": set(),
    "room_contents": {".room_troubles", ".errors"},
    "room_mover": {".registry", ".room_troubles", ".room_contents", ".room_keeper", ".models", ".errors"},
    "room_list": {".room_marks", ".models"},
    "room_sync": {".registry", ".rooms", ".room_troubles", ".room_list", ".in_flight", ".models", ".errors"},
    "room_findings": {".registry", ".registry_upkeep", ".shell_words", ".models"},
    "room_check": {
        *(".registry", ".registry_upkeep", ".room_contents", ".room_findings", ".room_list", ".room_sync"),
        *(".in_flight", ".room_marks", ".models", ".errors"),
    },
    "room_repair": {
        *(
            ".registry",
            ".rooms",
            ".room_contents",
            ".room_findings",
            ".room_keeper",
            ".room_sync",
            ".models",
            ".errors",
        ),
        ".shell_words",
    },
    "room_lookup": {".registry", ".models", ".errors"},
    "room_maker": {".registry", ".models", ".errors"},
    "background": set(),
    "sender_names": {".models", ".errors"},
    "thread_cache": {".sender_names", ".background", ".registry", ".models", ".errors"},
    "plain_words": set(),
    "comment_counts": {
        *(".background", ".plain_words", ".registry", ".room_lookup", ".thread_cache"),
        *(".models", ".errors"),
    },
    "prose": {"markupsafe"},
    "shown_comments": {"markupsafe", ".plain_words", ".prose", ".thread_cache", ".wire", ".models"},
    "bundle": set(),
    "signals": {"blinker"},
    "plain_rates": set(),
    "plain_posting": {
        *(".entering", ".plain_words", ".registry", ".state", ".visitors", ".tokens", ".models", ".errors"),
    },
    "plain_views": {
        *("flask", ".plain_posting", ".plain_words", ".reader_urls", ".registry", ".registry_upkeep", ".state"),
        ".signals",
        *(".shown_comments", ".thread_cache", ".tokens", ".view_input", ".views", ".visitors", ".models", ".errors"),
    },
    "reader_urls": {"flask", ".state"},
    "room_batches": {".registry", ".rooms", ".models", ".errors"},
    "backfill": {".registry", ".room_batches", ".rooms", ".models", ".errors"},
    "visitors": {".tokens", ".models", ".errors"},
    "hosted_visitors": {".visitors", ".registry", ".tokens", ".models", ".errors"},
    "access": {".visitors", ".models", ".errors"},
    "private_rooms": {".access", ".registry", ".rooms", ".room_keeper", ".room_troubles", ".models", ".errors"},
    "room_watch": {".registry", ".rooms", ".room_troubles", ".shell_words", ".errors"},
    "dev_hub": {".errors"},
    "missing_hub": {".process_lock", ".errors"},
    "own_hub": {".dev_hub", ".missing_hub"},
    "keys": {".config", ".tokens"},
    "neighbours": {"flask", "sqlalchemy", ".config", ".database", ".errors"},
    "state": {
        *("flask", ".config", ".keys", ".visitors", ".hosted_visitors", ".neighbours"),
        *(".dev_hub", ".missing_hub", ".own_hub", ".access", ".private_rooms", ".room_watch"),
        *(".background", ".thread_cache", ".sender_names", ".comment_counts", ".plain_rates"),
        *STORAGE,
        *BASE,
    },
    "room_info": {".registry", ".room_list"},
    "sweep": {".registry", ".room_info", ".room_list", ".room_troubles", ".errors"},
    "view_input": {"flask"},
    "leaving": {".state", ".errors"},
    "entering": {".state", ".registry", ".registry_upkeep", ".visitors", ".tokens", ".models"},
    "views": {
        *("flask", "werkzeug", ".state", ".view_input", ".leaving", ".entering", ".visitors", ".registry"),
        *(".reader_urls", ".signals"),
        *BASE,
    },
    "templating": {
        *("flask", "jinja2", "markupsafe", ".bundle", ".plain_words", ".reader_urls", ".shown_comments"),
        *(".thread_cache", ".state", ".tokens", ".models", ".errors"),
    },
    "room_methods": {".state", ".room_keeper", ".room_messages", ".sweep", ".models"},
    "upkeep_methods": {
        *(".state", ".room_keeper", ".room_mover", ".room_sync", ".room_check", ".room_findings", ".room_repair"),
        *(".registry_schema", ".registry_transfer", ".models"),
    },
    "cli_support": {"click", "flask", ".state", ".models", ".shell_words", ".errors"},
    "cli_rooms": {
        *("click", ".shell_words", ".cli_support", ".state", ".room_keeper", ".room_messages", ".sweep", ".models"),
    },
    "cli_privacy": {".cli_support", ".room_keeper", ".shell_words", ".state", "click"},
    "cli_posts": {".backfill", ".cli_progress", ".cli_support", ".errors", ".models", ".state", "click"},
    "cli_progress": {"click", ".cli_support"},
    "cli_upkeep": {
        *("click", ".cli_support", ".cli_posts", ".cli_progress", ".state", ".backfill", ".room_mover", ".room_sync"),
        ".shell_words",
    },
    "cli_check": {
        *("click", ".cli_support", ".cli_posts", ".cli_progress", ".state", ".room_check", ".room_findings", ".models"),
        ".shell_words",
        ".upkeep_methods",
    },
    "cli_transfer": {
        *("click", ".shell_words", ".cli_support", ".cli_posts", ".cli_progress", ".state"),
        *(".registry_transfer", ".errors"),
    },
    "cli_schema": {"click", ".cli_support", ".registry_schema", ".state"},
    "cli_hub": {".cli_support", ".config", ".errors", ".setting_values", ".state", "click", "flask"},
    "cli_hub_data": {".cli_hub", ".cli_progress", ".cli_support", ".errors", ".shell_words", "click"},
    "cli_visitor": {".shell_words", ".cli_support", ".models", ".state", ".upkeep_methods", "click"},
    "cli": {
        *("click", ".cli_support", ".cli_rooms", ".cli_privacy", ".cli_hub", ".cli_posts", ".cli_upkeep", ".cli_check"),
        *(".cli_hub_data", ".cli_visitor"),
        *(".cli_transfer", ".cli_schema", ".state", ".room_info", ".room_troubles", ".backfill", ".errors"),
        *(".room_batches", ".cli_progress", ".registry", ".shell_words"),
    },
    "extension": {
        *("flask", ".state", ".config", ".neighbours", ".rooms", ".backfill", ".room_info", ".room_methods"),
        ".registry_upkeep",
        *(".views", ".plain_views", ".templating", ".cli", ".access", ".upkeep_methods", ".room_batches"),
        *BASE,
    },
    "asgi": {"flask", ".state", ".errors"},
    "testing_reader": {".wire", ".models", ".errors"},
    "testing": {"pytest", "flask", ".testing_reader", ".room_messages", ".state", ".tokens", ".visitors", ".models"},
    "hub.signalr": {"msgspec", ".hub.signalr", ".errors"},
    "hub.membership": {".models"},
    "hub.backplane": {".hub.backplane", ".models"},
    "hub.names": set(),
    "hub.store": {"sqlalchemy", ".hub.store", ".hub.names", ".models", ".errors"},
    "hub.limits": {".models", ".errors"},
    "hub.addresses": {".models"},
    "hub.file_names": {".models"},
    "hub.file_types": set(),
    "hub.folder": set(),
    "hub.multipart": {"python_multipart", ".errors"},
    "hub.images": {"PIL", ".errors"},
    "hub.arguments": {".hub.limits", ".errors"},
    "hub.rates": set(),
    "hub.rate_config": {".hub.rates"},
    "hub.limiter": {".hub.rates", ".hub.rate_config", ".hub.metrics", ".errors"},
    "hub.client_address": {".hub.web_log"},
    "hub.config": {".hub.rate_config", ".hub.client_address", ".errors"},
    "hub.service": {*HUB_INNER, ".hub.store.base", ".hub.membership", ".hub.backplane.base", ".hub.config"},
    "hub.presenter": {".hub.service", ".hub.store.base", ".hub.addresses", ".models", ".wire"},
    "hub.fanout": {".hub.membership"},
    "hub.broadcast": {".hub.backplane.base", ".hub.fanout", ".hub.membership", ".hub.signalr", *HUB_EDGE},
    "hub.dispatcher": {
        ".hub.signalr",
        ".hub.broadcast",
        ".hub.fanout",
        ".hub.arguments",
        ".hub.limiter",
        ".hub.metrics",
        ".hub.rate_config",
        *HUB_EDGE,
    },
    "hub.rest_call": {"starlette", "msgspec", ".hub.limits", ".errors"},
    "hub.rest": {"starlette", ".hub.rest_call", ".hub.rate_config", *HUB_EDGE},
    "hub.intake": {
        *(".hub.file_names", ".hub.file_types", ".hub.folder", ".hub.images", ".hub.multipart"),
        *(".hub.config", ".hub.store.base", *HUB_INNER),
    },
    "hub.uploads": {
        "starlette",
        ".hub.file_names",
        ".hub.folder",
        ".hub.intake",
        ".hub.rate_config",
        ".hub.metrics",
        ".hub.store.base",
        *HUB_INNER,
    },
    "hub.origins": {"starlette", ".hub.web_log"},
    "hub.readiness": {".hub.store.base"},
    "hub.metrics": {".errors"},
    "hub.prometheus": {"prometheus_client", ".hub.metrics"},
    "hub.metrics_api": {"starlette", ".hub.metrics", ".hub.rate_config", ".hub.rest_call", ".errors"},
    "hub.watched": {"starlette", ".hub.metrics"},
    "hub.log_setup": {".hub.watched", ".hub.web_log", ".errors"},
    "hub.meters": {
        *(".hub.metrics", ".hub.backplane.base", ".hub.membership", ".hub.store.base"),
        *(".hub.transports.channel", ".hub.transports.channels", ".errors"),
    },
    "hub.vitals": {
        *("starlette", ".hub.readiness", ".hub.rest_call", ".hub.store.base", ".errors"),
        *(".hub.metrics", ".hub.meters"),
    },
    "hub.safe_answers": {"starlette"},
    "hub.front": {"starlette"},
    "hub.entrance": {
        *("starlette", ".hub.origins", ".hub.rest_call", ".hub.signalr"),
        *(".hub.transports.channel", ".hub.transports.channels"),
        *(".hub.client_address", ".hub.limiter", ".hub.rate_config"),
        *HUB_INNER,
    },
    "hub.transports": {
        *(".hub.transports", ".hub.signalr", ".hub.dispatcher", ".hub.service", ".hub.metrics", ".tokens", ".errors"),
    },
    "hub.garbage": set(),
    "hub.farewell": {".hub.signalr", ".hub.transports", ".wire"},
    "hub.app": {"starlette", ".hub", *BASE},
    "hub.outside": {"sqlalchemy", ".hub.addresses", ".hub.config", ".hub.store", ".wire", ".errors"},
    "hub.backup": {"sqlalchemy", ".hub.config", ".hub.folder", ".hub.store", ".errors"},
    "hub.restore": {
        ".hub.backup",
        ".hub.config",
        ".hub.folder",
        ".hub.startup",
        ".hub.store.migrations",
        ".hub.store.tables",
        ".errors",
    },
    "hub.startup": {".hub.config", ".hub.folder", ".hub.store.sql", ".process_lock", ".errors"},
    "hub.mounted": {
        "starlette",
        ".hub.app",
        ".hub.config",
        ".hub.origins",
        ".hub.startup",
        ".hub.store.sql",
        ".errors",
    },
    "hub.web_log": {"h11", "starlette"},
    "hub.web_handshake": {"uvicorn"},
    "hub.web_frames": {"uvicorn", "websockets", ".hub.transports", ".hub.web_handshake"},
    "hub.web_idlers": set(),
    "hub.open_files": set(),
    "hub.web_protocols": {
        *("h11", "uvicorn", ".hub.open_files", ".hub.transports", ".hub.web_frames", ".hub.web_idlers", ".hub.web_log"),
    },
    "hub.web_server": {
        *("uvicorn", "starlette", ".hub.config", ".hub.startup", ".hub.web_log", ".hub.web_protocols"),
    },
    "hub.server": {
        "starlette",
        ".hub",
        ".hub.garbage",
        ".hub.open_files",
        ".hub.app",
        ".hub.config",
        ".hub.startup",
        ".hub.web_server",
        ".errors",
    },
}
# Inside functions, and for type checkers, only: what starts the hub, the HTTP client that comes with the first
# call, and what needs the extension to be complete.
LATE: dict[str, set[str]] = {
    "rooms": {".api"},
    "room_batches": {".api"},
    "room_marks": {".api"},
    "room_keeper": {".api"},
    "private_rooms": {".api"},
    "room_watch": {".api"},
    "room_messages": {".api"},
    "thread_cache": {".api"},
    "sender_names": {".api"},
    "plain_posting": {".api"},
    "comment_counts": {".api"},
    "room_contents": {".api"},
    "room_mover": {".api"},
    "room_list": {".api"},
    "room_sync": {".api"},
    "room_check": {".api"},
    "registry_schema": {"alembic"},
    "room_repair": {".api"},
    "sweep": {".api"},
    "room_info": {".api"},
    "cli": {".api"},
    "extension": {".api", "httpx"},
    "state": {".api", ".in_process", ".templating", ".hub.server", ".hub.config", ".hub.rate_config", "httpx"},
    "dev_hub": {".hub.server"},
    "own_hub": {".hub.mounted"},
    "cli_hub": {".hub.server", ".hub.log_setup"},
    "hub.metrics_api": {".hub.prometheus"},
    "cli_hub_data": {".hub.backup", ".hub.restore", ".hub.outside", ".models", ".state"},
    "asgi": {"a2wsgi", ".hub.mounted", ".hub.web_log"},
    "testing_reader": {"httpx", "websockets", "flask", "werkzeug"},
    "testing": {".hub.server", ".hub.config", ".hub.rate_config", ".api"},
}
# These may be imported at the top of no module but api: the import of the extension stays light.
HEAVY = {
    "alembic",
    "httpx",
    "starlette",
    "uvicorn",
    "msgspec",
    "a2wsgi",
    "PIL",
    "python_multipart",
    "prometheus_client",
}

MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name not in {"__init__.py"})


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def row_of(module: str) -> str:
    """Return the most exact row of the table for *module*: its own, or its folder's."""
    while module and module not in ALLOWED:
        module = module.rpartition(".")[0]
    return module


def imports_of(path: Path) -> Iterator[tuple[str, bool, int]]:
    """Yield what *path* imports, whether that is inside a function, and the line."""
    module = module_name(path)
    tree = ast.parse(path.read_text())
    inside: dict[ast.AST, bool] = {}
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            late = inside.get(node, False) or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            inside[child] = late or _is_type_checking(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, inside.get(node, False), node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((name, inside.get(node, False), node.lineno) for name in _targets(node, module))


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _targets(node: ast.ImportFrom, module: str) -> list[str]:
    if node.level == 0:
        return [node.module or ""]
    parts = module.split(".")[: -node.level] if node.level <= len(module.split(".")) else []
    base = ".".join([*parts, *(node.module or "").split(".")]).strip(".")
    if node.module:
        return [f".{base}"]
    return [f".{base}.{alias.name}".replace("..", ".") for alias in node.names]


def is_allowed(name: str, allowed: set[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_table(path: Path) -> None:
    module = module_name(path)
    row = row_of(module)
    assert row, f"{module} has no row in the table: add it, and to which layer it belongs"
    for name, is_late, line in imports_of(path):
        if not name.startswith(".") and name.split(".")[0] in sys.stdlib_module_names:
            continue
        allowed = ALLOWED[row] | (LATE.get(row, set()) if is_late else set())
        assert is_allowed(name, allowed), f"{module}:{line} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_the_flask_side_and_the_hub_meet_over_http(path: Path) -> None:
    module = module_name(path)
    for name, is_late, line in imports_of(path):
        if module.startswith("hub."):
            assert not is_allowed(name, FLASK_SIDE | {"flask"}), f"{module}:{line} imports {name}"
        elif not is_late:
            assert not name.startswith(".hub"), f"{module}:{line} imports {name} at the top"


def test_importing_the_extension_loads_nothing_heavy() -> None:
    import subprocess

    code = f"import sys, {PACKAGE}; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
