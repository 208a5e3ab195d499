# One image for both daemons and the client; the entry point chooses the role.
# BASE may be any Debian 12 image that holds apt: deploy/test_docker.sh makes one with debootstrap.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        gcc make libc6-dev libnng-dev libprotobuf-c-dev protobuf-c-compiler librocksdb-dev \
        libyaml-dev libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libxxhash-dev \
        libzstd-dev zlib1g-dev liblz4-dev librdkafka-dev
COPY . /src
RUN make -C /src -j"$(nproc)" BUILD=build build && strip /src/build/bin/*

FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \
        libnng1 libprotobuf-c1 librocksdb7.8 libyaml-0-2 libmicrohttpd12 libcurl4 libjansson4 \
        libzstd1 zlib1g liblz4-1 librdkafka1 ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/millstream millstream \
    && mkdir -p /var/lib/millstream /etc/millstream \
    && mkdir -p /var/lib/millstream/shared && chown -R millstream /var/lib/millstream
COPY --from=build /src/build/bin/ /usr/local/bin/
COPY deploy/entrypoint.sh /usr/local/bin/millstream-entrypoint
COPY conf/millstream.yaml /etc/millstream/millstream.yaml
COPY examples/ /usr/local/share/millstream/examples/
USER 10001
VOLUME /var/lib/millstream
EXPOSE 6121 6123 8081 9249
# Each role answers /health on its own HTTP port; the entry point leaves the port in this variable.
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["millstream-entrypoint", "health"]
ENTRYPOINT ["millstream-entrypoint"]
CMD ["help"]
