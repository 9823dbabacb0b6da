# shelfwire with the three book pipelines. With the offline reader for photos, which adds some 350 MB:
#     docker build --build-arg EXTRAS=scan --tag shelfwire:scan .
# It listens on all addresses of its container, and therefore starts only with SHELFWIRE_API_KEYS.
FROM python:3.13-slim AS build
ARG EXTRAS=demo
WORKDIR /build
COPY locks/${EXTRAS}.txt locks/
RUN python -m venv /opt/shelfwire \
 && /opt/shelfwire/bin/python -m pip install --no-cache-dir --require-hashes --requirement locks/${EXTRAS}.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/shelfwire/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/shelfwire /opt/shelfwire
# Owned by the user of the process, so that a new volume takes over its owner and mode.
RUN useradd --uid 10001 --no-create-home --no-log-init --home-dir /data --shell /usr/sbin/nologin shelfwire \
 && install --directory --owner=shelfwire --mode=700 /data
ENV PATH=/opt/shelfwire/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SHELFWIRE_DATA=/data \
    SHELFWIRE_HOST=0.0.0.0
USER 10001
VOLUME /data
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "from urllib.request import *; build_opener(ProxyHandler({})).open('http://127.0.0.1:8787/health/live', timeout=2)"]
ENTRYPOINT ["shelfwire"]
CMD ["serve"]
