"""The one table of what keys do: bindings, function-key bar, F9 menu, palette and help read it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
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
    Action("app", "projects", "P", "Projects and their members", "Box"),
    Action("app", "audit", "", "Audit trail", "Box", admin=True),
    Action("app", "messages", "M", "What was said in passing", "Box"),
    Action("app", "settings", "comma", "Settings: theme, bell, title, notices", "Box"),
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
    Action("jobs", "view('runs')", "1", "All runs", "View"),
    Action("jobs", "view('waiting')", "2", "Waiting jobs", "View"),
    Action("jobs", "view('active')", "3", "Active jobs", "View"),
    Action("jobs", "view('final')", "4", "Finished jobs", "View"),
    Action("jobs", "view('files')", "5", "Operations on files", "View"),
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
    Action("log", "progress", "P", "Show or hide lines of labbox:progress", "Log"),
    Action("log", "from_start", "home,less_than_sign", "From the beginning", "Log"),
    Action("log", "to_end", "end,greater_than_sign", "To the end, and follow", "Log"),
    Action("log", "save_hint", "S", "How to save the log", "Log"),
    Action("viewer", "wrap", "f2,w", "Wrap long lines, or cut them", "Viewer", "Wrap"),
    Action("viewer", "back", "escape,f3,f10,q", "Close", "Viewer", "Quit"),
    Action("viewer", "hex", "f4,h", "Bytes in hex, and back", "Viewer", "Hex"),
    Action("viewer", "go", "f5,colon", "Go to a line, percentage or byte", "Viewer", "Goto"),
    Action("viewer", "follow", "f6,f,F", "Follow the end as the file grows", "Viewer", "Follow"),
    Action("viewer", "find", "f7,slash", "Search", "Viewer", "Search"),
    Action("viewer", "next_match", "n", "Next match", "Viewer"),
    Action("viewer", "previous_match", "N", "Match before", "Viewer"),
    Action("viewer", "raw", "f8,r", "Plain text of a table or document, and back", "Viewer", "Raw"),
    Action("viewer", "numbers", "l", "Line numbers", "Viewer"),
    Action("viewer", "progress", "P", "Show or hide a log's lines of labbox:progress", "Viewer"),
    Action("viewer", "encoding", "e", "Next encoding", "Viewer"),
    Action("viewer", "sibling(1)", "ctrl+f,right_square_bracket", "Next file", "Viewer"),
    Action("viewer", "sibling(-1)", "ctrl+b,left_square_bracket", "File before", "Viewer"),
    Action("files", "open", "f3,enter", "Look at it", "Files", "View"),
    Action("files", "up", "backspace,left", "Up one folder", "Files"),
    Action("files", "copy_path", "y", "Copy the path to the clipboard", "Files"),
    Action("files", "fetch_hint", "f5,S", "How to fetch the files", "Files", "Fetch"),
    Action("files", "graphics", "V", "Pictures: half blocks or the terminal's graphics", "Files"),
    Action("manager", "submit", "f2", "Submit this folder as a job", "Files", "Submit"),
    Action("manager", "view", "f3", "View", "Files", "View"),
    Action("manager", "edit", "f4", "Edit", "Files", "Edit"),
    Action("manager", "external", "alt+e", "Edit in my own editor", "Files"),
    Action("manager", "copy", "f5", "Copy", "Files", "Copy"),
    Action("manager", "move", "f6", "Move or rename", "Files", "Move"),
    Action("manager", "make_folder", "f7", "Make a folder", "Files", "Mkdir"),
    Action("manager", "trash", "f8,delete", "Delete to the trash", "Files", "Delete"),
    Action("manager", "erase", "shift+f8,f20,shift+delete", "Delete for good", "Files"),
    Action("manager", "rename", "shift+f6,f18", "Rename in place", "Files"),
    Action("manager", "rename_many", "ctrl+n", "Rename many, with a preview", "Files"),
    Action("manager", "new_file", "shift+f4,f16", "New file", "Files"),
    Action("manager", "undo", "alt+z", "Undo the last change", "Files"),
    Action("manager", "copy_path", "alt+p", "Copy the path to the clipboard", "Files"),
    Action("manager", "mark", "insert,space", "Mark or unmark", "Select"),
    Action("manager", "mark_down", "shift+down", "Mark and go down", "Select"),
    Action("manager", "mark_up", "shift+up", "Mark and go up", "Select"),
    Action("manager", "mark_mask", "plus", "Mark by a mask", "Select"),
    Action("manager", "unmark_mask", "minus", "Unmark by a mask", "Select"),
    Action("manager", "invert_marks", "asterisk", "Invert the marks", "Select"),
    Action("manager", "search", "ctrl+s", "Quick search", "Select"),
    Action("manager", "filter", "ctrl+f", "Filter by name", "Select"),
    Action("manager", "escape", "escape", "End search or filter, unmark all", "Select"),
    Action("manager", "compare", "ctrl+x d", "Compare the two folders, mark what differs", "Select"),
    Action("manager", "place('left')", "alt+f1", "Place of the left pane", "Go"),
    Action("manager", "place('right')", "alt+f2", "Place of the right pane", "Go"),
    Action("manager", "parent", "backspace", "Up one folder", "Go"),
    Action("manager", "jump", "alt+c", "Go to a path", "Go"),
    Action("manager", "often", "alt+g", "Go where one often is", "Go"),
    Action("manager", "bookmarks", "ctrl+backslash", "Bookmarks", "Go"),
    Action("manager", "bookmark", "alt+b", "Bookmark this folder", "Go"),
    Action("manager", "history_back", "alt+y,alt+left", "Back", "Go"),
    Action("manager", "history_forward", "alt+u,alt+right", "Forward", "Go"),
    Action("manager", "find", "alt+f7", "Find by name or content", "Go"),
    Action("manager", "other_pane", "tab,shift+tab", "The other pane", "Panes"),
    Action("manager", "swap", "ctrl+u", "Swap the panes", "Panes"),
    Action("manager", "same_here", "alt+i", "The same folder in the other pane", "Panes"),
    Action("manager", "open_other", "alt+o", "Open this in the other pane", "Panes"),
    Action("manager", "new_tab", "ctrl+t", "New tab", "Panes"),
    Action("manager", "close_tab", "ctrl+w", "Close the tab", "Panes"),
    Action("manager", "turn_tab(1)", "ctrl+pagedown", "Next tab", "Panes"),
    Action("manager", "turn_tab(-1)", "ctrl+pageup", "Previous tab", "Panes"),
    Action("manager", "sort('name')", "", "Sort by name", "Panes"),
    Action("manager", "sort('extension')", "", "Sort by extension", "Panes"),
    Action("manager", "sort('size')", "", "Sort by size", "Panes"),
    Action("manager", "sort('time')", "", "Sort by time", "Panes"),
    Action("manager", "reverse", "", "Reverse the order", "Panes"),
    Action("manager", "hidden", "ctrl+h", "Hidden files", "Panes"),
    Action("manager", "flat", "ctrl+b", "Flat view: everything below", "Panes"),
    Action("manager", "quick_view", "ctrl+q", "Quick view in the other pane", "Panes"),
    Action("manager", "info", "ctrl+l", "Information in the other pane", "Panes"),
    Action("manager", "reread", "ctrl+r", "Read again", "Panes"),
    Action("manager", "folder_size", "ctrl+@", "Size of the folder", "Tools"),
    Action("manager", "difference", "ctrl+x f", "What differs between two files, line by line", "Tools"),
    Action("manager", "sync", "ctrl+x y", "Synchronise the panes, with a preview", "Tools"),
    Action("manager", "pack", "alt+f5", "Pack", "Tools"),
    Action("manager", "unpack", "alt+f6", "Unpack", "Tools"),
    Action("manager", "checksums", "ctrl+x h", "Checksums", "Tools"),
    Action("manager", "chmod", "ctrl+x c", "Change the mode", "Tools"),
    Action("manager", "chown", "ctrl+x o", "Change owner and group", "Tools"),
    Action("manager", "symlink", "ctrl+x s", "Make a symbolic link", "Tools"),
    Action("manager", "trash_bin", "ctrl+x t", "Trash: look, restore, empty", "Tools"),
    Action("manager", "transfers", "ctrl+x j", "Transfers: pause, resume, cancel, retry", "Tools"),
    Action("manager", "hosts", "ctrl+x m", "Other machines: keys and passwords", "Tools"),
    Action("manager", "jobs", "ctrl+o,f12", "Jobs", "Box"),
    Action("jobs", "manager", "ctrl+o,f12", "File manager", "Box"),
    Action("transfers", "reread", "ctrl+r", "Read again", "View"),
    Action("trash", "view", "f3", "Look at it", "Trash", "View"),
    Action("trash", "restore", "f5,r", "Restore to where it was", "Trash", "Restore"),
    Action("trash", "restore_into", "f6", "Restore into another folder", "Trash", "Into"),
    Action("trash", "erase", "f8,delete", "Delete for good (asks)", "Trash", "Delete"),
    Action("trash", "empty", "shift+f8,f20,shift+delete,e", "Empty the trash (asks)", "Trash"),
    Action("trash", "mark", "insert,space", "Mark or unmark", "Select"),
    Action("trash", "mark_up", "shift+up", "Mark and go up", "Select"),
    Action("trash", "mark_down", "shift+down", "Mark and go down", "Select"),
    Action("trash", "mark_all", "plus", "Mark all that are shown", "Select"),
    Action("trash", "unmark_all", "minus", "Unmark all", "Select"),
    Action("trash", "invert_marks", "asterisk", "Invert the marks", "Select"),
    Action("trash", "filter", "f7,slash", "Show only what holds a text", "View", "Find"),
    Action("trash", "sort", "o", "Sort by the next column", "View"),
    Action("trash", "reverse", "O", "Reverse the order", "View"),
    Action("trash", "reread", "ctrl+r", "Read again", "View"),
    Action("trash", "leave_it", "escape,q", "End filter or marks; else back to the files", "View"),
    Action("hosts", "add", "f2,insert", "Add a machine", "Machines", "Add"),
    Action("hosts", "line", "f3", "The line for its authorized_keys", "Machines", "Line"),
    Action("hosts", "test", "f4,t", "Test: log in and look at its home", "Machines", "Test"),
    Action("hosts", "confirm", "f5", "Confirm the key that it shows", "Machines", "Confirm"),
    Action("hosts", "password", "f6", "Keep a password for it", "Machines", "Passwd"),
    Action("hosts", "remove", "f8,delete", "Forget it (asks)", "Machines", "Forget"),
    Action("hosts", "reread", "ctrl+r", "Read again", "View"),
    Action("editor", "save", "f2,ctrl+s", "Save", "Files", "Save"),
    Action("editor", "save_as", "shift+f2,f14,f12", "Save as", "Files"),
    Action("editor", "reload", "", "Read again from the disk", "Files"),
    Action("editor", "external", "alt+e", "Open in my own editor", "Files"),
    Action("editor", "close", "f10,escape", "Close", "Files", "Quit"),
    Action("editor", "mark", "f3", "Begin or end to mark", "Select", "Mark"),
    Action("editor", "select_all", "ctrl+a", "Select everything", "Select"),
    Action("editor", "undo", "ctrl+z,ctrl+u", "Undo", "Text"),
    Action("editor", "redo", "ctrl+y,alt+r", "Redo", "Text"),
    Action("editor", "copy", "ctrl+c", "Copy to the clipboard", "Text"),
    Action("editor", "cut", "ctrl+x", "Cut to the clipboard", "Text"),
    Action("editor", "paste", "ctrl+v", "Paste", "Text"),
    Action("editor", "copy_block", "f5", "Copy what is marked to here", "Text", "Copy"),
    Action("editor", "move_block", "f6", "Move what is marked to here", "Text", "Move"),
    Action("editor", "delete_block", "f8", "Delete what is marked, or the line", "Text", "Delete"),
    Action("editor", "find", "f7,ctrl+f", "Search", "Go", "Search"),
    Action("editor", "find_next", "shift+f7,f19,ctrl+n", "Search on", "Go"),
    Action("editor", "find_previous", "ctrl+b", "Search backwards", "Go"),
    Action("editor", "replace", "f4,ctrl+r", "Replace", "Go", "Replace"),
    Action("editor", "goto_line", "ctrl+l,alt+l", "Go to a line", "Go"),
    Action("editor", "wrap", "alt+w", "Wrap long lines", "View"),
    Action("submit", "send", "f2,ctrl+s", "Submit", "Submit", "Submit"),
    Action("submit", "choose", "f3", "Choose another folder", "Submit", "Folder"),
    Action("submit", "check", "f5", "Inspect the folder again", "Submit", "Inspect"),
    Action("users", "add", "f2,insert", "Add a user", "Users", "Add", admin=True),
    Action("users", "invite", "f3,i", "Invite by a one-time code", "Users", "Invite", admin=True),
    Action("users", "limits", "f4,enter", "Limits", "Users", "Limits", admin=True),
    Action("users", "admin", "f5", "Make or unmake an administrator", "Users", "Admin", admin=True),
    Action("users", "password", "f6", "Set a password", "Users", "Passwd", admin=True),
    Action("users", "suspend", "f7", "Suspend, or let in again", "Users", "Suspend", admin=True),
    Action("users", "edit", "e", "Full name and end of the account", "Users", admin=True),
    Action("users", "withdraw", "w", "Withdraw the invitation", "Users", admin=True),
    Action("users", "remove", "f8,delete", "Remove a user", "Users", "Remove", admin=True),
    Action("users", "reread", "ctrl+r", "Read again", "View", admin=True),
    Action("projects", "add", "f2,insert", "Make a project", "Projects", "Add", admin=True),
    Action("projects", "join", "f3,i", "Take people in", "Projects", "Take in", admin=True),
    Action("projects", "let_go", "f4,o", "Let people go", "Projects", "Let go", admin=True),
    Action("projects", "folder", "f5", "Its folder, in the panes (Enter)", "Projects", "Files"),
    Action("projects", "remove", "f8,delete", "Remove a project (asks)", "Projects", "Remove", admin=True),
    Action("projects", "reread", "ctrl+r", "Read again", "View"),
    Action("account", "add_key", "f2,insert", "Deposit an SSH key", "Account", "AddKey"),
    Action("account", "add_token", "f3", "Make a token for scripts", "Account", "Token"),
    Action("account", "password", "f6", "Change my password", "Account", "Passwd"),
    Action("account", "remove", "f8,delete", "Remove the key or revoke the token", "Account", "Remove"),
    Action("settings", "turn(1)", "right,space,enter", "The next choice", "View"),
    Action("settings", "turn(-1)", "left", "The choice before", "View"),
    Action("pane", "back", "escape,q", "Back", "Box"),
)

MENUS: Final = (
    "Jobs", "Act", "Viewer", "Files", "Trash", "Machines", "Select", "Text", "Go", "Panes", "Tools", "View",
    "Log", "Submit", "Users", "Projects", "Account", "Box",
)  # fmt: skip

# What each screen offers, the nearer scope first.
SCREENS: Final[dict[str, tuple[str, ...]]] = {
    "manager": ("manager", "app"),
    "trash": ("trash", "app"),
    "transfers": ("transfers", "job", "pane", "app"),
    "hosts": ("hosts", "pane", "app"),
    "editor": ("editor", "app"),
    "jobs": ("jobs", "job", "app"),
    "log": ("log", "job", "pane", "app"),
    "detail": ("job", "pane", "app"),
    "array": ("job", "pane", "app"),
    "files": ("files", "pane", "app"),
    "viewer": ("viewer", "app"),
    "submit": ("submit", "pane", "app"),
    "users": ("users", "pane", "app"),
    "projects": ("projects", "pane", "app"),
    "account": ("account", "pane", "app"),
    "settings": ("settings", "pane", "app"),
    "pane": ("pane", "app"),
}

# What people type for an action who know it by another word; the palette finds it by these too.
SYNONYMS: Final[dict[str, str]] = {
    "make_folder": "mkdir new folder directory",
    "trash": "rm delete remove",
    "erase": "rm -f delete remove",
    "copy": "cp",
    "move": "mv rename",
    "leave": "exit logout log out bye",
    "reread": "refresh reload",
    "theme": "settings colours",
    "settings": "settings preferences options configuration",
    "hosts": "host ssh sftp machine pc",
    "place('left')": "project shared results drive host",
    "place('right')": "project shared results drive host",
    "projects": "project members group team",
    "difference": "diff compare text",
    "find": "grep search locate",
    "chmod": "permissions rights",
    "symlink": "ln link",
    "cancel": "stop abort scancel",
    "submit": "run sbatch qsub",
    "jobs": "queue squeue",
    "box": "host load disk memory",
    "view": "cat less",
    "edit": "nano vi",
}

_NAMES: Final = {
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "comma": ",",
    "backslash": "\\",
    "plus": "+",
    "minus": "-",
    "asterisk": "*",
    "@": "Space",  # as Ctrl+Space arrives
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
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "up": "↑",
    "down": "↓",
}


# Keys with a name that put a sign of one's own into a line: as good as letters.
_SIGNS: Final = frozenset(key for key, name in _NAMES.items() if len(name) == 1 and name.isascii())

# Screens on which letters search: what the app does by a letter elsewhere is in menu and palette there.
TYPING: Final = frozenset({"manager", "editor"})

# What a screen has no use for, though a scope of its has it: the log of the job whose log is shown.
_IDLE: Final = frozenset({("log", "log")})

# How terminals send F-keys with Shift: the sequences are those of F13 to F24.
_SHIFTED: Final = {
    "f14": "shift+f2",
    "f16": "shift+f4",
    "f18": "shift+f6",
    "f19": "shift+f7",
    "f20": "shift+f8",
}


def key_name(key: str) -> str:
    """A key as people call it: ``F8``, ``Ctrl+P``, ``[``, ``Ctrl+X D``."""
    first, _, then = key.partition(" ")
    if first and then:
        return f"{key_name(first)} {then.upper()}"
    *modifiers, last = key.split("+")
    name = _NAMES.get(last, last.upper() if len(last) > 1 or modifiers else last)
    return "+".join([*(part.capitalize() for part in modifiers), name])


def key_names(action: Action) -> str:
    """All keys of an action for people: ``F8 c Del``."""
    keys = [key for key in action.keys.split(",") if key]
    return " ".join(key_name(key) for key in keys if _SHIFTED.get(key) not in keys)


def actions_of(screen: str, admin: bool = True) -> list[Action]:
    """Every action that a screen offers, the nearer scope's first; no key stands at two of them.

    A key that a nearer scope has taken means that alone: what else it means elsewhere is in menu and palette.
    """
    found: list[Action] = []
    taken: set[str] = set()
    for scope in SCREENS[screen]:
        mine = [
            _without_letters(action) if screen in TYPING and scope == "app" else action
            for action in ACTIONS
            if action.scope == scope and (admin or not action.admin) and (screen, action.name) not in _IDLE
        ]
        mine = [_without(action, taken) for action in mine]
        taken.update(key for action in mine for key in action.keys.split(","))
        found += mine
    return found


def _without(action: Action, taken: Collection[str]) -> Action:
    keys = [key for key in action.keys.split(",") if key not in taken]
    return action._replace(keys=",".join(keys))


def _without_letters(action: Action) -> Action:
    keys = [key for key in action.keys.split(",") if len(key) > 1 and key not in _SIGNS]
    return action._replace(keys=",".join(keys))


def chords(screen: str) -> dict[str, dict[str, Action]]:
    """Keys of two strokes: by the first and then the second one, what they do."""
    found: dict[str, dict[str, Action]] = {}
    for action in actions_of(screen):
        for key in action.keys.split(","):
            first, _, then = key.partition(" ")
            if then:
                found.setdefault(first, {})[then] = action
    return found


@cache
def means(screen: str, key: str) -> str:
    """The action of a key on a screen; nothing where it has none."""
    return {binding.key: binding.action for binding in bindings(screen)}.get(key, "")


def bindings(screen: str) -> list[Binding]:
    """The bindings of a screen."""
    return [
        Binding(key, ("app." if action.scope == "app" else "") + action.name, action.title, show=False)
        for action in actions_of(screen)
        for key in action.keys.split(",")
        if key and " " not in key
    ]


def function_keys(screen: str, admin: bool = True) -> list[tuple[int, str]]:
    """The bottom line of a screen: each function key's number and label, F1 to F10."""
    labels: dict[int, str] = {}
    for action in actions_of(screen, admin):
        for key in action.keys.split(","):
            if action.label and key[:1] == "f" and key[1:].isdigit():
                labels.setdefault(int(key[1:]), action.label)
    return sorted(labels.items())
