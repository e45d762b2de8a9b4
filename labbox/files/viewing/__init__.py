"""Looking into files: whatever their size and wherever they lie, without reading them whole.

`source` reads blocks of an open file, `stretches` finds lines in them, `index` counts lines, `formats` says
what a file is. What parses outside formats (`pictures`, `tables`, `arrays`, `documents`, `searching`) runs in
a child without rights, which `apart` starts and `labbox.files.confined` ties up.
"""
