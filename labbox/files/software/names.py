"""Names that people write into a requirements.txt and that no index has, or has for other systems alone."""

from __future__ import annotations

from typing import Final

# What is imported -> what the index calls it.
IMPORTED: Final = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "cv2": "opencv-python-headless",
    "pil": "pillow",
    "yaml": "pyyaml",
    "dateutil": "python-dateutil",
    "mpl-toolkits": "matplotlib",
    "googleapiclient": "google-api-python-client",
    "osgeo": "gdal",
    "mysqldb": "mysqlclient",
}

WINDOWS: Final = frozenset(
    {
        "pywin32", "pypiwin32", "pywinpty", "pywin32-ctypes", "windows-curses", "wmi", "pyreadline",
        "pyreadline3", "wincertstore", "win-inet-pton", "win-unicode-console", "winshell", "pywinauto",
        "comtypes", "winregistry", "winsdk", "pythonnet-win", "win32-setctime", "twisted-iocpsupport",
    }
)  # fmt: skip

# What `pip freeze` lists of a Debian or Ubuntu, and what no index has.
GONE: Final = frozenset(
    {
        "pkg-resources", "ubuntu-advantage-tools", "ubuntu-pro-client", "ubuntu-drivers-common",
        "language-selector", "command-not-found", "unattended-upgrades", "screen-resolution-extra",
        "xkit", "ufw", "python-apt", "cupshelpers", "usb-creator", "brlapi", "louis", "defer",
        "ubuntu-release-upgrader-core",
    }
)  # fmt: skip
