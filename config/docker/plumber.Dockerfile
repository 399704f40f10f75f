# The Plumber services. Build it from the clone's root: docker build -f config/docker/plumber.Dockerfile .
# One image for all of them; which one it serves is its first argument.

# What R needs stands in one list, which this stage reads.
FROM node:22.20.0-bookworm-slim AS list
WORKDIR /app
COPY gateway/setup gateway/setup
RUN node gateway/setup/system-packages.mjs > /packages.txt

FROM debian:12.11-slim
COPY --from=list /packages.txt /packages.txt
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends < /packages.txt \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin penstock
WORKDIR /app
COPY LICENSE ./
COPY plumber-services plumber-services
# Trained when the image is built: an image is one version of its models.
RUN sh plumber-services/train.sh
USER 10001:10001
EXPOSE 8000
# A busy R answers late, which is no illness.
HEALTHCHECK --interval=10s --timeout=8s --start-period=30s --retries=6 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8000/ping"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sh", "plumber-services/serve.sh"]
CMD ["fuel", "--host", "0.0.0.0", "--port", "8000"]
