"""What a run lacked, told by its last words: a program, a library, a package; and where it is to be written.

Only the end of each stream is looked at, by patterns that take time in proportion to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from labbox.existing import of_octave, of_python, of_r

_NAME: Final = rb"[A-Za-z0-9][A-Za-z0-9_.+-]{0,80}"
_MODULE_NAME: Final = rb"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,80}"
# Programs that Debian has in a package of their own name, and where the package is called otherwise.
_SAME_NAME: Final = frozenset(
    """
    agda arduino aspell avrdude axel bc bcftools bedtools biber blender bowtie2 bwa cargo cd-hit cdo chktex
    clang clang-format clang-tidy clojure cmake csh cvc5 cvs darcs datalad dc dcm2niix default-jdk dos2unix
    doxygen ed espeak-ng fastp fastqc fasttree ffmpeg fish flac flex fossil freecad gcc g++ gdb gfortran ghc
    git git-annex git-lfs gmsh gnuplot gradle graphviz groovy hisat2 hunspell img2pdf inkscape iverilog jq
    kallisto kraken2 ksh lame latexmk lbzip2 lftp lua5.4 mafft make maxima mediainfo megahit memcached meson
    minimap2 minizinc mksh mosquitto mplayer mricron muscle nano nco nginx ngspice npm ocaml ocrmypdf openocd
    openscad pandoc parallel paraview pdftk perl php pigz plink1.9 plink2 potrace povray praat prokka pymol
    qpdf raxml redis-server rename rsync ruby rustc salmon samtools sbcl scala scilab screen seqkit seqtk
    spades sox spin strace stringtie subversion swig tcsh time tmux tree trimmomatic valgrind vcftools
    verilator vim vlc xmlstarlet xsltproc yosys yq z3 zsh
    """.split()
)
_PROGRAMS: Final = {
    "convert": "imagemagick", "dot": "graphviz", "pdflatex": "texlive-latex-base",
    "latex": "texlive-latex-base", "xelatex": "texlive-xetex", "lualatex": "texlive-luatex",
    "bibtex": "texlive-binaries", "java": "default-jre", "javac": "default-jdk", "cc": "gcc", "c++": "g++",
    "node": "nodejs", "nodejs": "nodejs", "Rscript": "r-base-core", "R": "r-base-core", "ffprobe": "ffmpeg",
    "gs": "ghostscript", "mpirun": "openmpi-bin", "mpiexec": "openmpi-bin", "mpicc": "libopenmpi-dev",
    "psql": "postgresql-client", "mysql": "default-mysql-client", "sqlite3": "sqlite3", "7z": "p7zip-full",
    "rg": "ripgrep", "fd": "fd-find", "xvfb-run": "xvfb", "Xvfb": "xvfb", "qmake": "qtbase5-dev-tools",
    "identify": "imagemagick", "mogrify": "imagemagick", "montage": "imagemagick", "bgzip": "tabix",
    "tabix": "tabix", "protoc": "protobuf-compiler", "ssh": "openssh-client", "dig": "dnsutils",
    "ping": "iputils-ping", "ps": "procps", "octave": "octave", "octave-cli": "octave",
    "blastn": "ncbi-blast+", "blastp": "ncbi-blast+", "makeblastdb": "ncbi-blast+", "hmmsearch": "hmmer",
    "hmmscan": "hmmer", "iqtree2": "iqtree", "mb": "mrbayes", "plink": "plink1.9", "STAR": "rna-star",
    "featureCounts": "subread", "htseq-count": "python3-htseq", "spades.py": "spades",
    "diamond": "diamond-aligner", "clustalo": "clustalo", "exiftool": "libimage-exiftool-perl",
    "gdalinfo": "gdal-bin", "gdal_translate": "gdal-bin", "gdalwarp": "gdal-bin", "ogr2ogr": "gdal-bin",
    "ncdump": "netcdf-bin", "ncgen": "netcdf-bin", "ncks": "nco", "h5dump": "hdf5-tools",
    "h5ls": "hdf5-tools", "gmx": "gromacs", "lmp": "lammps", "obabel": "openbabel", "ninja": "ninja-build",
    "unrar": "unrar-free", "xmllint": "libxml2-utils", "tesseract": "tesseract-ocr",
    "pdftotext": "poppler-utils", "pdftoppm": "poppler-utils", "pdfinfo": "poppler-utils",
    "rsvg-convert": "librsvg2-bin", "gp": "pari-gp", "go": "golang-go", "lua": "lua5.4", "tclsh": "tcl",
    "wish": "tk", "guile": "guile-3.0", "mvn": "maven", "swipl": "swi-prolog-nox", "svn": "subversion",
    "hg": "mercurial", "aria2c": "aria2", "glpsol": "glpk-utils", "cbc": "coinor-cbc",
    "lp_solve": "lp-solve", "coqc": "coq", "autoconf": "autoconf", "automake": "automake",
    "libtoolize": "libtool", "pkg-config": "pkg-config", "mrconvert": "mrtrix3", "dwi2tensor": "mrtrix3",
    "setxkbmap": "x11-xkb-utils", "xdotool": "xdotool", "nc": "netcat-openbsd", "telnet": "telnet",
    "ftp": "ftp", "nmap": "nmap", "locale-gen": "locales", "lsof": "lsof", "killall": "psmisc",
    "gawk": "gawk", "bison": "bison",
}  # fmt: skip
# Programs that packages of the index bring.
_OF_INDEX: Final = {
    "jupyter": "jupyter", "jupyter-nbconvert": "nbconvert", "papermill": "papermill",
    "jupytext": "jupytext", "ipython": "ipython", "snakemake": "snakemake", "dvc": "dvc",
    "pytest": "pytest", "cython": "cython", "multiqc": "multiqc", "cutadapt": "cutadapt", "macs3": "macs3",
    "streamlit": "streamlit", "tensorboard": "tensorboard", "torchrun": "torch", "accelerate": "accelerate",
    "f2py": "numpy",
}  # fmt: skip
_IMAGE: Final = "name an image that has it (image = … in job.toml)"
_CONDA: Final = (
    "there is no conda in a run: write its packages into environment.yml, "
    "and leave out the lines that activate"
)
_MODULE: Final = (
    "there is no “module” in a run: write what it loads into apt.txt, requirements.txt or environment.yml, "
    "or name an image"
)
_SLURM: Final = "there is no Slurm in a run: leave out {name}, and what stands behind it runs by itself"
_QUEUE: Final = "a run hands in no jobs: “job submit FOLDER” does, and --array repeats it"
_MATLAB: Final = f"there is no MATLAB in a run: {_IMAGE}; app.m runs with Octave where no image is named"
_LICENSED: Final = f"{{name}} is in no package: {_IMAGE}"
_ROOT: Final = "nobody becomes root in a run: leave out {name}, and write Debian packages into apt.txt"
_CONTAINERS: Final = (
    "a run starts no containers of its own: name the image it runs in (image = … in job.toml)"
)
_PIP: Final = "a run installs nothing itself: write what {name} installs into requirements.txt"
_SYSTEM: Final = "a run installs nothing itself: write what {name} installs into apt.txt"
# Programs that no package gives, and the way that works here.
_NO_PACKAGE: Final = {
    name: sentence
    for names, sentence in (
        ("conda mamba micromamba activate source-activate", _CONDA),
        ("module ml", _MODULE),
        ("srun", _SLURM),
        ("sbatch salloc squeue scancel sacct qsub bsub qstat", _QUEUE),
        ("matlab mcc mex", _MATLAB),
        ("sudo su doas", _ROOT),
        ("docker podman singularity apptainer udocker", _CONTAINERS),
        ("pip pip3 pipx poetry pipenv pdm uv uvx pixi", _PIP),
        ("yum dnf zypper brew pacman apk snap flatpak", _SYSTEM),
        (
            "recon-all mri_convert freeview asegstats2table bet flirt fnirt fslmaths fslinfo fsl feat "
            "melodic 3dTstat 3dinfo afni.py antsRegistration N4BiasFieldCorrection wb_command julia "
            "nextflow gatk nvcc nvidia-smi vmd sage duckdb scip lean isabelle rstudio quarto "
            "stata stata-mp sas spss wolframscript math mathematica idl comsol ansys abaqus g16 "
            "vasp gurobi_cl cplex labview",
            _LICENSED,
        ),
    )
    for name in names.split()
}
_LIBRARIES: Final = {
    "libGL.so": "libgl1", "libEGL.so": "libegl1", "libgomp.so": "libgomp1", "libsndfile.so": "libsndfile1",
    "libgthread-2.0.so": "libglib2.0-0", "libglib-2.0.so": "libglib2.0-0", "libSM.so": "libsm6",
    "libXext.so": "libxext6", "libXrender.so": "libxrender1", "libX11.so": "libx11-6",
    "libxcb.so": "libxcb1", "libgfortran.so": "libgfortran5", "libopenblas.so": "libopenblas0",
    "libhdf5.so": "libhdf5-dev", "libportaudio.so": "libportaudio2", "libusb-1.0.so": "libusb-1.0-0",
    "libfftw3.so": "libfftw3-double3", "libgsl.so": "libgsl27", "libGLU.so": "libglu1-mesa",
    "libxml2.so": "libxml2", "libpq.so": "libpq5", "libcairo.so": "libcairo2", "libstdc++.so": "libstdc++6",
    "libpng16.so": "libpng16-16", "libjpeg.so": "libjpeg62-turbo", "libtiff.so": "libtiff6",
    "libXi.so": "libxi6", "libXtst.so": "libxtst6", "libXrandr.so": "libxrandr2",
    "libXcursor.so": "libxcursor1", "libXfixes.so": "libxfixes3", "libXcomposite.so": "libxcomposite1",
    "libXdamage.so": "libxdamage1", "libXt.so": "libxt6", "libXmu.so": "libxmu6",
    "libXinerama.so": "libxinerama1", "libICE.so": "libice6", "libxkbcommon.so": "libxkbcommon0",
    "libxkbcommon-x11.so": "libxkbcommon-x11-0", "libxcb-xinerama.so": "libxcb-xinerama0",
    "libxcb-icccm.so": "libxcb-icccm4", "libxcb-image.so": "libxcb-image0",
    "libxcb-keysyms.so": "libxcb-keysyms1", "libxcb-cursor.so": "libxcb-cursor0",
    "libxcb-render-util.so": "libxcb-render-util0", "libxcb-shape.so": "libxcb-shape0",
    "libdbus-1.so": "libdbus-1-3", "libfontconfig.so": "libfontconfig1", "libfreetype.so": "libfreetype6",
    "libasound.so": "libasound2", "libpulse.so": "libpulse0", "libnss3.so": "libnss3",
    "libnspr4.so": "libnspr4", "libgtk-3.so": "libgtk-3-0", "libgdk-x11-2.0.so": "libgtk2.0-0",
    "libpango-1.0.so": "libpango-1.0-0", "libgdk_pixbuf-2.0.so": "libgdk-pixbuf-2.0-0",
    "libcups.so": "libcups2", "libatk-1.0.so": "libatk1.0-0", "libgbm.so": "libgbm1",
    "libdrm.so": "libdrm2", "libOpenGL.so": "libopengl0", "libGLX.so": "libglx0",
    "libOSMesa.so": "libosmesa6", "libglut.so": "libglut3.12", "libglfw.so": "libglfw3",
    "libgdal.so": "libgdal32", "libproj.so": "libproj25", "libgeos_c.so": "libgeos-c1v5",
    "libspatialindex_c.so": "libspatialindex6", "libnetcdf.so": "libnetcdf19", "libzmq.so": "libzmq5",
    "libsodium.so": "libsodium23", "libffi.so": "libffi8", "libmagic.so": "libmagic1",
    "libmpi.so": "libopenmpi3", "liblapack.so": "liblapack3", "libblas.so": "libblas3",
    "libgmp.so": "libgmp10", "libmpfr.so": "libmpfr6", "libqhull_r.so": "libqhull-r8.0",
    "libsqlite3.so": "libsqlite3-0", "libmysqlclient.so": "default-libmysqlclient-dev",
    "libodbc.so": "libodbc2", "libldap.so": "libldap-dev", "libxslt.so": "libxslt1.1",
    "libyaml.so": "libyaml-0-2", "libusb-0.1.so": "libusb-0.1-4",
    "libhidapi-hidraw.so": "libhidapi-hidraw0", "libhidapi-libusb.so": "libhidapi-libusb0",
    "libavcodec.so": "libavcodec59", "libavformat.so": "libavformat59", "libsox.so": "libsox3",
    "libtesseract.so": "libtesseract5", "libzbar.so": "libzbar0", "libpoppler-cpp.so": "libpoppler-cpp0v5",
    "libtbb.so": "libtbb12", "libtk8.6.so": "libtk8.6", "libtcl8.6.so": "libtcl8.6",
    "libR.so": "r-base-core", "libboost_system.so": "libboost-system1.74.0", "libcurl.so": "libcurl4",
    "libssh2.so": "libssh2-1", "libpython3.11.so": "libpython3.11",
}  # fmt: skip
_MODULES: Final = {
    "cv2": "opencv-python-headless", "sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "Pillow",
    "yaml": "PyYAML", "bs4": "beautifulsoup4", "Bio": "biopython", "serial": "pyserial", "usb": "pyusb",
    "dateutil": "python-dateutil", "dotenv": "python-dotenv", "nacl": "PyNaCl", "OpenSSL": "pyOpenSSL",
    "Crypto": "pycryptodome", "fitz": "PyMuPDF", "docx": "python-docx", "pptx": "python-pptx",
    "git": "GitPython", "jwt": "PyJWT", "umap": "umap-learn", "mpl_toolkits": "matplotlib",
    "pylab": "matplotlib", "pkg_resources": "setuptools", "distutils": "setuptools", "zmq": "pyzmq",
    "attr": "attrs", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "magic": "python-magic",
    "Levenshtein": "python-Levenshtein", "igraph": "igraph", "community": "python-louvain",
    "faiss": "faiss-cpu", "tables": "tables", "nidaqmx": "nidaqmx", "visa": "pyvisa", "pyvisa": "PyVISA",
    "wx": "wxPython", "gi": "PyGObject", "cairo": "pycairo", "osgeo": "GDAL", "gdal": "GDAL",
    "sksurv": "scikit-survival", "imblearn": "imbalanced-learn", "hydra": "hydra-core",
    "ruamel": "ruamel.yaml", "google.protobuf": "protobuf", "google.auth": "google-auth",
    "google.cloud.storage": "google-cloud-storage", "absl": "absl-py", "pl_bolts": "lightning-bolts",
    "mne_bids": "mne-bids", "IPython": "ipython", "OpenGL": "PyOpenGL", "pywt": "PyWavelets",
    "shapefile": "pyshp", "skbio": "scikit-bio", "sksparse": "scikit-sparse", "skopt": "scikit-optimize",
    "stan": "pystan", "parselmouth": "praat-parselmouth", "SimpleITK": "SimpleITK",
    "bioformats": "python-bioformats", "slugify": "python-slugify", "ldap": "python-ldap",
    "Xlib": "python-xlib", "socks": "PySocks", "websocket": "websocket-client", "bids": "pybids",
    "ants": "antspyx", "medpy": "MedPy", "vcf": "PyVCF3", "openslide": "openslide-python",
    "nbformat": "nbformat", "pyximport": "Cython", "speech_recognition": "SpeechRecognition",
    "tensorflow_datasets": "tensorflow-datasets", "sentence_transformers": "sentence-transformers",
    "pytorch_lightning": "pytorch-lightning", "pythonosc": "python-osc", "rtmidi": "python-rtmidi",
    "pygraphviz": "pygraphviz", "graphviz": "graphviz", "pydot": "pydot", "jose": "python-jose",
    "pyperclip": "pyperclip", "xdf": "pyxdf", "fpdf": "fpdf2", "pyfftw": "pyFFTW", "netCDF4": "netCDF4",
    "Cython": "Cython", "seabreeze": "seabreeze", "sympy": "sympy", "rpy2": "rpy2", "jax": "jax",
}  # fmt: skip
_WINDOWS: Final = (
    'the Python module {name} is a part of Windows alone: leave it out where os.name is not "nt"'
)
_PYTHON_2: Final = "{name} is a module of Python 2, and this is Python 3: 2to3 -w FILE changes what it can"
_OWN_OR: Final = (
    "if it is your own, hand it in beside the script; "
    "else write the package that has it into requirements.txt"
)
# Modules that no package of the index gives, and the way that works here.
_NO_MODULE: Final = {
    name: sentence
    for names, sentence in (
        ("tkinter _tkinter turtle", "the Python module tkinter is not there: write python3-tk into apt.txt"),
        ("matlab", _MATLAB),
        ("google.colab", "google.colab is in Google Colab alone: leave it out, and read from /input"),
        (
            "win32com win32api win32con win32gui pythoncom pywintypes winreg _winreg msvcrt winsound wmi "
            "_winapi win32file win32process winrt",
            _WINDOWS,
        ),
        (
            "urllib2 ConfigParser cPickle StringIO cStringIO Tkinter tkMessageBox Queue httplib urlparse "
            "commands __builtin__ HTMLParser xmlrpclib cookielib",
            _PYTHON_2,
        ),
        ("arcpy bpy ROOT abaqus paraview slicer FreeCAD fsl dolfin firedrake caiman", _LICENSED),
    )
    for name in names.split()
}


def _program(name: str) -> str:
    if name in _NO_PACKAGE:
        return _NO_PACKAGE[name].format(name=name)
    if version := re.fullmatch(r"python([23]\.[0-9]{1,2})", name):
        return f"there is no {name}: write python-{version[1]} into runtime.txt, and call python3"
    missing = f"the program {name} is not there"
    if name in _OF_INDEX:
        return f"{missing}: write {_OF_INDEX[name]} into requirements.txt"
    package = _PROGRAMS.get(name, name if name in _SAME_NAME else None)
    return _in_debian(missing, package)


def _library(name: str) -> str:
    stem = name[: name.index(".so") + 3]
    return _in_debian(f"the library {name} is not there", _LIBRARIES.get(stem))


def _in_debian(missing: str, package: str | None) -> str:
    if package is None:
        return f"{missing}: write the Debian package that has it into apt.txt, or name an image that has it"
    return f"{missing}: write {package} into apt.txt"


def _module(name: str) -> str:
    parts = name.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    for one in names:
        if one in _NO_MODULE:
            return _NO_MODULE[one].format(name=one)
        if one in _MODULES:
            return f"the Python module {one} is not there: write {_MODULES[one]} into requirements.txt"
    package = of_python(parts[0])
    missing = f"the Python module {parts[0]} is not there"
    if package is None:
        return f"{missing}: {_OWN_OR}"
    return f"{missing}: write {package} into requirements.txt"


def _metadata(name: str) -> str:
    return (
        f"{name} is not installed, so nothing tells its version: the folder's own code runs as it stands; "
        "write the version into it where importlib.metadata finds none, or list a package of an index"
    )


def _of_r(name: str) -> str:
    package = of_r(name)
    if package is None:
        return f"the R package {name} is not there, and Debian has none of it: {_IMAGE}"
    return f"the R package {name} is not there: write {package} into apt.txt"


def _of_julia(name: str) -> str:
    return f"the Julia package {name} is not there: {_IMAGE}"


def _of_octave(name: str) -> str:
    package = of_octave(name)
    if package is None:
        return f"the Octave package {name} is not there, and Debian has none of it: {_IMAGE}"
    return f"the Octave package {name} is not there: write {package} into apt.txt"


def _read_only(_: str) -> str:
    return "it may write to /output alone, and beside its code: what is written there comes back"


_SAID: Final[tuple[tuple[re.Pattern[bytes], Callable[[str], str]], ...]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (rb"ModuleNotFoundError: No module named '(" + _MODULE_NAME + rb")'", _module),
        (rb"ImportError: No module named (" + _MODULE_NAME + rb")", _module),
        (
            rb"PackageNotFoundError: (?:No package metadata was found for )?(" + _NAME + rb")(?=\s|$)",
            _metadata,
        ),
        (rb"DistributionNotFound: The '(" + _NAME + rb")[^'\n]{0,80}' distribution was not found", _metadata),
        (rb"(lib" + _NAME + rb"\.so(?:\.[0-9]{1,6}){0,4}): cannot open shared object file", _library),
        (rb"cannot find -l(" + _NAME + rb")", lambda name: _library(f"lib{name}.so")),
        (rb"there is no package called [^A-Za-z]{1,3}(" + _NAME + rb")", _of_r),
        (rb"ArgumentError: Package (" + _NAME + rb") (?:not found|\[)", _of_julia),
        (rb"package (" + _NAME + rb") (?:is not installed|could not be found)", _of_octave),
        (rb"package_name_not_found[^\n]{0,80}`(" + _NAME + rb")'", _of_octave),
        (rb"package not found: (" + _NAME + rb")", _of_octave),
        (rb"(?:^|[ :\n])(" + _NAME + rb"): (?:command )?not found", _program),
        (rb"/usr/bin/env: [^A-Za-z]{0,3}(" + _NAME + rb")[^\n]{0,4}: No such file or directory", _program),
        (rb"cannot run (" + _NAME + rb"): there is no such program", _program),
        (
            rb"in _execute_child\n(?:[^\n]{0,200}\n){1,4}FileNotFoundError: [^\n]{0,60}: b?'("
            + _NAME
            + rb")'",
            _program,
        ),
        (rb"(Read-only file system)", _read_only),
        (rb"exec: \"(" + _NAME + rb")\": executable file not found", _program),
    )
)


def lacked(said: bytes) -> str:
    """What was missing, in a sentence with the way out; empty where the last words tell of nothing."""
    found: tuple[int, str] | None = None
    for pattern, words in _SAID:
        for match in pattern.finditer(said):
            name = match[1].decode("ascii").rstrip(".-")
            if found is None or match.start() > found[0]:
                found = match.start(), words(name)
    return "" if found is None else found[1]
