# The gateway. Build it from the clone's root: docker build -f config/docker/gateway.Dockerfile .

FROM node:22.20.0-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The optional packages are the Node that runs the gateway: the one above only installs it.
RUN npm ci --omit=dev --include=optional

FROM debian:12.11-slim
# Node 26 needs libatomic.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libatomic1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin penstock \
    && install -d -o penstock -g penstock /app /app/.state /var/lib/penstock
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY gateway gateway
COPY config config
RUN printf '#!/bin/sh\nexec /app/node_modules/.bin/node /app/gateway/main.ts "$@"\n' > /usr/local/bin/penstock \
    && chmod 755 /usr/local/bin/penstock
USER 10001:10001
ENV NODE_ENV=production
EXPOSE 8080 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["/app/node_modules/.bin/node", "-e", "fetch('http://127.0.0.1:9090/readyz').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/local/bin/penstock"]
CMD ["serve", "--config", "config/gateway.docker.yaml"]
