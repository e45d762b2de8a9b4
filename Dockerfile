# The job base image: what every job runs in unless its template or the job names another.
# labbox makes it by itself, as labbox/base, when the engine has none; by hand:
#   docker build -t labbox/base --build-arg BASE=debian:bookworm-slim .
# BASE must be the Debian that the box runs: environments are made with the Python that is installed here.
ARG BASE=debian:bookworm-slim
FROM ${BASE}
ENV LANG=C.UTF-8
RUN export DEBIAN_FRONTEND=noninteractive \
 && apt-get update -q \
 && apt-get install -y -q --no-install-recommends ca-certificates media-types netbase procps python3 tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log /usr/share/doc/* /usr/share/man/* \
 && mkdir -p /code /input /output
WORKDIR /code
