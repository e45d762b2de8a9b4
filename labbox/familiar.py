"""Words that people know from a shell, and what does the same here, where there is no shell."""

from __future__ import annotations

import os
import re
from typing import Final

_SCREENS: Final = "log in without a command: F3 shows a file, F4 edits it"
_RUN: Final = "“ssh … job submit FOLDER” runs it, in a container of its own"
_JOBS_STAY: Final = "a job goes on when you log out, and “ssh … job log N -f” shows it again"

_YOUR_SIDE: Final = "it runs on your side: “ssh … file cat FILE | PROGRAM”"
_EDITORS: Final = f"work on your side with sshfs, rsync or sftp; {_RUN}"

_INSTEAD: Final[dict[str, str]] = {
    word: hint
    for words, hint in (
        ("ls ll dir", "“ssh … file ls” lists files"),
        ("cat type", f"“ssh … file cat” prints files; “scp …:FILE .” fetches one; or {_SCREENS}"),
        ("head", "“ssh … file head” prints the first lines of files, as in “ssh … file head -n 20 x.csv”"),
        ("tail", f"“ssh … file tail” prints the last lines of files; {_JOBS_STAY}"),
        ("less more view most bat", f"“ssh … file cat FILE | less” pages a file on your side; or {_SCREENS}"),
        ("wc nl sort uniq cut awk gawk sed tr hexdump xxd od strings", _YOUR_SIDE),
        (
            "which whereis command hash whence",
            "“ssh … templates” shows what runs here, and “ssh … help” the verbs",
        ),
        ("vi vim nvim nano emacs ed joe micro", _SCREENS),
        ("rm rmdir del unlink shred", "“ssh … file rm” puts files into the trash"),
        ("cp", "“ssh … file cp” copies files"),
        ("mv ren rename", "“ssh … file mv” moves and renames files"),
        ("mkdir md", "“ssh … file mkdir” makes folders"),
        ("touch", _SCREENS),
        ("tar zip gzip bzip2 xz zstd 7z", "“ssh … file pack” packs, and “ssh … file unpack” unpacks"),
        ("untar unzip gunzip bunzip2 unxz unzstd", "“ssh … file unpack” unpacks archives"),
        ("find locate grep egrep rg fd ag", "“ssh … file find” finds files by name or by what they hold"),
        ("diff cmp", "“ssh … file diff” compares files and folders"),
        ("md5sum sha1sum sha256sum sha512sum b2sum b3sum cksum sum", "“ssh … file sum” makes checksums"),
        ("cd pwd", "paths begin at your home, as in “ssh … file ls study”"),
        ("du", "“ssh … file du” shows what folders hold; “ssh … usage” what you use"),
        ("df quota free", "“ssh … usage” and “ssh … status” show what is used and what is free"),
        ("ps top htop jobs bg fg squeue qstat sacct bjobs", "“ssh … job list” shows your jobs"),
        ("sbatch srun salloc qsub bsub nohup at batch", "“ssh … job submit FOLDER” hands in a job"),
        ("kill pkill killall scancel qdel bkill", "“ssh … job cancel N” ends a job"),
        ("sinfo uname hostname uptime lscpu nproc nvidia-smi w who date", "“ssh … status” shows the box"),
        ("id groups finger", "“ssh … whoami” says who you are here"),
        ("passwd", "“ssh -t … user passwd” changes your password"),
        ("ssh-keygen ssh-copy-id ssh-add", "run it on your own computer; “ssh … user key add -” adds a key"),
        ("man info apropos whatis", "“ssh … help” shows the verbs"),
        ("python python3 ipython jupyter R Rscript matlab octave julia perl node java make gcc", _RUN),
        (
            "pip pip3 conda mamba uv apt apt-get",
            "name packages in requirements.txt, environment.yml or apt.txt",
        ),
        ("docker podman singularity apptainer", _RUN),
        ("wget curl ftp", "fetch it on your own computer, or in a job with --network"),
        ("screen tmux byobu zellij mosh-server mosh et etterminal", _JOBS_STAY),
        ("sftp scp", "run it on your own computer, with this box as one side"),
        ("sudo su doas", "nobody becomes root here; administrators use “ssh … user”"),
        ("chmod", "“ssh … file chmod” changes permissions"),
        ("chown chgrp setfacl umask", "what you make is yours; “ssh … file chmod” says what others may"),
        ("ln", "“ssh … file ln -s” makes links"),
        ("stat getfacl readlink realpath tree", "“ssh … file ls -l” shows size, time and permissions"),
        ("code-server code jupyter-lab jupyter-notebook rstudio", _EDITORS),
        ("echo printf test sleep env export alias source eval exec", _RUN),
    )
    for word in words.split()
}
NOTHING: Final = frozenset(
    {"true", ":", "exit", "logout", "quit", "bye"}
)  # asked only to see whether it works


def instead(program: str) -> str | None:
    """What does here what a program does elsewhere, in a sentence; None for one that is not known."""
    hint = _INSTEAD.get(program.rpartition("/")[2])
    return None if hint is None else f"cannot run “{program}”: this box has no shell; {hint}"


_OURS: Final = re.compile(
    r"(?<![\w./-])labbox (?=(?:audit|events|file|host|job|project|status|user)\b|--help)"
)


def as_typed(text: str) -> str:
    """The words of `labbox` in a sentence as somebody types them who has come over ssh."""
    return _OURS.sub("ssh … ", text) if "LABBOX_ORIGIN" in os.environ else text
