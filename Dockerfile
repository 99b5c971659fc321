# Greffier's worker, built in a stage of its own so that no build tool is in the image. For La Suite
# Meet, whose image is started by other commands: docker build --target la-suite-meet .

FROM python:3.11-slim AS build
WORKDIR /app
RUN python -m venv .venv && python -m venv .build && mkdir data
COPY requirements.txt requirements-build.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    .venv/bin/python -m pip install --disable-pip-version-check --require-hashes --no-deps \
        -r requirements.txt \
    && .build/bin/python -m pip install --disable-pip-version-check --require-hashes \
        -r requirements-build.txt
COPY pyproject.toml README.md LICENSE worker.py ./
COPY agents agents
COPY pipelines pipelines
COPY prompts prompts
RUN .build/bin/python -m pip wheel --disable-pip-version-check --no-deps --no-build-isolation \
        --wheel-dir dist . \
    && .venv/bin/python -m pip install --disable-pip-version-check --no-deps --no-index dist/*.whl

FROM python:3.11-slim AS runtime
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    GREFFIER_DATA_DIR=/data \
    GREFFIER_HEALTH_PORT=8081
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY worker.py LICENSE ./
COPY --from=build --chown=10001:10001 /app/data /data
VOLUME /data
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['GREFFIER_HEALTH_PORT'], timeout=4)"]

FROM runtime AS la-suite-meet
COPY deploy/la-suite-meet/metadata_collector.py deploy/la-suite-meet/multi_user_transcriber.py ./
CMD ["python", "multi_user_transcriber.py", "start"]

FROM runtime
ENTRYPOINT ["python", "worker.py"]
CMD ["start"]
