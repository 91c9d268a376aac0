# The server of covos. BASE is a Debian or Ubuntu with Python 3.11 or newer; TORCH is where torch comes from.
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG TORCH=https://download.pytorch.org/whl/cpu
# OpenVINO computes faster on processors; a machine with a GPU does not need it.
ARG EXTRAS=serve,openvino
RUN command -v python3 >/dev/null && python3 -m venv --help >/dev/null 2>&1 || \
    { apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/*; }
RUN python3 -m venv /opt/covos && /opt/covos/bin/pip install --no-cache-dir torch --index-url ${TORCH}
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY src src
COPY examples examples
RUN /opt/covos/bin/pip install --no-cache-dir ".[${EXTRAS}]"
RUN useradd --create-home covos && mkdir /clips && chown covos /clips
USER covos
VOLUME /clips
EXPOSE 8080
# A first start loads the networks, which takes a while. Publish another port with -p; inside it stays 8080.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/opt/covos/bin/python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/health', timeout=5)"]
ENTRYPOINT ["/opt/covos/bin/covos", "serve", "--host", "0.0.0.0", "--root", "/clips", "--log", "-"]
