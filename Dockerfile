# The job base image: what every job runs in unless its template or the job names another.
# labbox makes it by itself, as labbox/base, when the engine has none; by hand:
#   docker build -t labbox/base --build-arg BASE=debian:bookworm-slim .
# BASE must be the Debian that the box runs: environments are made with the Python that is installed here.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV LANG=C.UTF-8
# What the scripts of a research folder take for granted: Python by its usual names, a compiler with the headers of C, C++
# and Python, make, git, and the small tools for fetching, packing, tables and text.
RUN export DEBIAN_FRONTEND=noninteractive \
 && apt-get update -q \
 && apt-get install -y -q --no-install-recommends ca-certificates media-types netbase procps tzdata \
      python3 python-is-python3 python3-pip python3-venv python3-dev gcc g++ libc6-dev make patch git \
      curl wget rsync unzip zip xz-utils bzip2 zstd jq bc file less time \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /usr/share/doc/* /usr/share/man/* \
 && mkdir -p /code /input /output
WORKDIR /code
