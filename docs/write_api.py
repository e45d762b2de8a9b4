"""Write docs/api.md anew: `python docs/write_api.py`."""

from pathlib import Path

from labbox.daemon.api.openapi import document
from labbox.daemon.api.page import page
from labbox.daemon.api.routes import ROUTES

Path(__file__).with_name("api.md").write_text(page(document(ROUTES)), encoding="utf-8")
