"""The one table of what keys do: bindings, function-key bar, F9 menu, palette and help read it."""

from __future__ import annotations

from typing import Final, NamedTuple

from textual.binding import Binding


class Action(NamedTuple):
    """One thing a person can do: `action_NAME` of the screen, or of the app, of its `scope`."""

    scope: str
    name: str
    keys: str  # Textual's names, comma-separated; empty: menu and palette only
    title: str  # as menu, palette and help say it
    menu: str  # the F9 menu that holds it; empty: none
    label: str = ""  # on the function-key bar, where its key is a function key
    admin: bool = False


# Scopes: "app" holds everywhere; "job" wherever a job is at hand (list, details, log, array, history).
ACTIONS: Final[tuple[Action, ...]] = (
    Action("app", "help", "f1,question_mark", "Help: keys of this screen", "Box", "Help"),
    Action("app", "menu", "f9", "Menu", "", "Menu"),
    Action("app", "palette", "ctrl+p", "Command palette", "Box"),
    Action("app", "notices", "n", "Notices", "Box"),
    Action("app", "box", "B", "Status of the box", "Box"),
    Action("app", "usage", "S", "Usage and shares", "Box"),
    Action("app", "account", "A", "My password, keys and tokens", "Box"),
    Action("app", "users", "U", "Users", "Box", admin=True),
    Action("app", "audit", "", "Audit trail", "Box", admin=True),
    Action("app", "theme", "T", "Next colour theme", "Box"),
    Action("app", "leave", "f10", "Quit", "Box", "Quit"),
    Action("jobs", "submit", "f2,s", "Submit a project folder", "Jobs", "Submit"),
    Action("job", "log", "f3,l", "Log", "Jobs", "Log"),
    Action("job", "info", "f4,d", "Details", "Jobs", "Info"),
    Action("job", "results", "f5,v", "Result files", "Jobs", "Files"),
    Action("job", "rerun", "f6,e", "Run again with edits", "Jobs", "Rerun"),
    Action("job", "why", "w", "Why it waits, or ended so", "Jobs"),
    Action("job", "history", "t", "History and accounting", "Jobs"),
    Action("job", "elements", "a", "Elements of the array", "Jobs"),
    Action("job", "graph", "g", "Graph of dependencies", "Jobs"),
    Action("job", "shell", "x", "Shell inside the running job", "Jobs"),
    Action("job", "input", "i", "Send a line to its standard input", "Jobs"),
    Action("job", "copy_id", "y", "Copy the id to the clipboard", "Jobs"),
    Action("jobs", "accounting", "H", "Finished jobs with CPU hours and memory", "Jobs"),
    Action("job", "cancel", "f8,c,delete", "Cancel (asks first)", "Act", "Cancel"),
    Action("job", "kill", "K", "Kill at once", "Act"),
    Action("job", "hold", "h", "Hold", "Act"),
    Action("job", "release", "r", "Release", "Act"),
    Action("job", "pause", "p", "Pause", "Act"),
    Action("job", "resume", "u", "Resume", "Act"),
    Action("job", "retry", "R", "Retry as it was", "Act"),
    Action("job", "edit", "E", "Change while it waits", "Act"),
    Action("job", "priority", "equals_sign", "Set the priority", "Act"),
    Action("job", "earlier", "right_square_bracket", "Move up in my queue", "Act"),
    Action("job", "later", "left_square_bracket", "Move down in my queue", "Act"),
    Action("job", "group_limit", "G", "Limit of its group", "Act"),
    Action("jobs", "mark", "space,insert", "Mark or unmark", "Select"),
    Action("jobs", "mark_down", "shift+down", "Mark and go down", "Select"),
    Action("jobs", "mark_up", "shift+up", "Mark and go up", "Select"),
    Action("jobs", "mark_all", "plus", "Mark all that are shown", "Select"),
    Action("jobs", "unmark_all", "minus", "Unmark all", "Select"),
    Action("jobs", "invert_marks", "asterisk", "Invert the marks", "Select"),
    Action("jobs", "filter", "f7,slash", "Filter by text", "View", "Find"),
    Action("jobs", "filter_out", "backslash", "Hide what matches a text", "View"),
    Action("jobs", "clear_filter", "escape", "Clear the filter and the marks", "View"),
    Action("jobs", "mine", "m", "Mine, or everybody's", "View"),
    Action("jobs", "view('all')", "1", "All jobs", "View"),
    Action("jobs", "view('waiting')", "2", "Waiting jobs", "View"),
    Action("jobs", "view('active')", "3", "Active jobs", "View"),
    Action("jobs", "view('final')", "4", "Finished jobs", "View"),
    Action("jobs", "next_view", "tab", "Next view", "View"),
    Action("jobs", "previous_view", "shift+tab", "Previous view", "View"),
    Action("jobs", "sort", "o", "Sort by the next column", "View"),
    Action("jobs", "reverse", "O", "Reverse the order", "View"),
    Action("jobs", "reread", "ctrl+r", "Read again", "View"),
    Action("log", "follow", "f2,f", "Follow the end", "Log", "Follow"),
    Action("log", "find", "f7,slash", "Search", "Log", "Find"),
    Action("log", "next_match", "n", "Next match", "Log"),
    Action("log", "previous_match", "N", "Previous match", "Log"),
    Action("log", "stream('out')", "1", "Show or hide standard output", "Log"),
    Action("log", "stream('err')", "2", "Show or hide standard error", "Log"),
    Action("log", "stream('box')", "3", "Show or hide what the box says", "Log"),
    Action("log", "wrap", "f3,W", "Wrap long lines", "Log", "Wrap"),
    Action("log", "times", "m", "Show times", "Log"),
    Action("log", "from_start", "home,less_than_sign", "From the beginning", "Log"),
    Action("log", "to_end", "end,greater_than_sign", "To the end, and follow", "Log"),
    Action("log", "save_hint", "S", "How to save the log", "Log"),
    Action("files", "open", "f3,enter", "Look at it", "Files", "View"),
    Action("files", "up", "backspace,left", "Up one folder", "Files"),
    Action("files", "copy_path", "y", "Copy the path to the clipboard", "Files"),
    Action("files", "fetch_hint", "f5,S", "How to fetch the files", "Files", "Fetch"),
    Action("files", "graphics", "V", "Pictures: half blocks or the terminal's graphics", "Files"),
    Action("submit", "send", "f2,ctrl+s", "Submit", "Submit", "Submit"),
    Action("submit", "choose", "f3", "Choose another folder", "Submit", "Folder"),
    Action("submit", "check", "f5", "Inspect the folder again", "Submit", "Inspect"),
    Action("users", "add", "f2,insert", "Add a user", "Users", "Add", admin=True),
    Action("users", "invite", "f3,i", "Invite by a one-time code", "Users", "Invite", admin=True),
    Action("users", "limits", "f4,enter", "Limits", "Users", "Limits", admin=True),
    Action("users", "admin", "f5", "Make or unmake an administrator", "Users", "Admin", admin=True),
    Action("users", "password", "f6", "Set a password", "Users", "Passwd", admin=True),
    Action("users", "remove", "f8,delete", "Remove a user", "Users", "Remove", admin=True),
    Action("account", "add_key", "f2,insert", "Deposit an SSH key", "Account", "AddKey"),
    Action("account", "add_token", "f3", "Make a token for scripts", "Account", "Token"),
    Action("account", "password", "f6", "Change my password", "Account", "Passwd"),
    Action("account", "remove", "f8,delete", "Remove the key or revoke the token", "Account", "Remove"),
    Action("pane", "back", "escape,q", "Back", "Box"),
)

MENUS: Final = ("Jobs", "Act", "Select", "View", "Log", "Files", "Submit", "Users", "Account", "Box")

# What each screen offers, the nearer scope first.
SCREENS: Final[dict[str, tuple[str, ...]]] = {
    "jobs": ("jobs", "job", "app"),
    "log": ("log", "job", "pane", "app"),
    "detail": ("job", "pane", "app"),
    "array": ("job", "pane", "app"),
    "files": ("files", "pane", "app"),
    "submit": ("submit", "pane", "app"),
    "users": ("users", "pane", "app"),
    "account": ("account", "pane", "app"),
    "pane": ("pane", "app"),
}

_NAMES: Final = {
    "question_mark": "?",
    "slash": "/",
    "backslash": "\\",
    "plus": "+",
    "minus": "-",
    "asterisk": "*",
    "equals_sign": "=",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "escape": "Esc",
    "space": "Space",
    "insert": "Ins",
    "delete": "Del",
    "enter": "Enter",
    "backspace": "Backspace",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
    "left": "←",
    "up": "↑",
    "down": "↓",
}


def key_name(key: str) -> str:
    """A key as people call it: ``F8``, ``Ctrl+P``, ``[``."""
    *modifiers, last = key.split("+")
    name = _NAMES.get(last, last.upper() if len(last) > 1 or modifiers else last)
    return "+".join([*(part.capitalize() for part in modifiers), name])


def key_names(action: Action) -> str:
    """All keys of an action for people: ``F8 c Del``."""
    return " ".join(key_name(key) for key in action.keys.split(",") if key)


def actions_of(screen: str, admin: bool = True) -> list[Action]:
    """Every action that a screen offers; where two have a key in common, the nearer scope's comes first."""
    return [
        action
        for scope in SCREENS[screen]
        for action in ACTIONS
        if action.scope == scope and (admin or not action.admin)
    ]


def bindings(screen: str) -> list[Binding]:
    """The bindings of a screen; a key taken by a nearer scope is not bound again."""
    taken: set[str] = set()
    found: list[Binding] = []
    for action in actions_of(screen):
        keys = [key for key in action.keys.split(",") if key and key not in taken]
        taken.update(keys)
        where = "app." if action.scope == "app" else ""
        found += [Binding(key, where + action.name, action.title, show=False) for key in keys]
    return found


def function_keys(screen: str, admin: bool = True) -> list[tuple[int, str]]:
    """The bottom line of a screen: each function key's number and label, F1 to F10."""
    labels: dict[int, str] = {}
    for action in actions_of(screen, admin):
        for key in action.keys.split(","):
            if action.label and key[:1] == "f" and key[1:].isdigit():
                labels.setdefault(int(key[1:]), action.label)
    return sorted(labels.items())
