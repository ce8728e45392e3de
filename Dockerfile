# One image for every part of Skein: the executable with the app inside it, on a base without a shell.
#
#   docker build -t skein .
#   docker run --rm -p 127.0.0.1:8080:8080 skein        # a whole cluster, kept in memory and gone with the container
#
# compose.yaml runs coordinator and workers as containers of their own.

# The app. Its packages are a layer of their own, which changes with the lock file only.
FROM node:22-bookworm-slim AS app
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY web ./
RUN npm run build

# What Cargo has to know to build the dependencies: the manifests, and an empty program in place of each target that they
# name. This stage runs at each change, but what comes out of it changes only with the manifests.
FROM rust:1.95-slim-bookworm AS manifests
WORKDIR /manifests
COPY Cargo.toml Cargo.lock ./
COPY protocol protocol
COPY runtime runtime
COPY coordinator coordinator
COPY worker worker
COPY sim sim
COPY bench bench
COPY src src
COPY tests tests
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock ! -path './src/main.rs' ! -path './*/src/lib.rs' \
        ! -path './tests/containers/main.rs' ! -path './bench/src/main.rs' ! -path './bench/src/bin/*.rs' \
        ! -path '*/benches/*.rs' -delete \
    && find . -name '*.rs' -exec sh -c 'for file; do echo "fn main() { }" > "$file"; done' sh {} + \
    && find . -type d -empty -delete

# The dependencies are built in a layer of their own, then the executable.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /skein
# Line tables would make up most of the image; the names of functions stay, so a backtrace can be read.
ENV CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=debuginfo CARGO_TERM_COLOR=never
COPY --from=manifests /manifests ./
RUN cargo build --release --locked --package skein
COPY Cargo.toml Cargo.lock ./
COPY protocol protocol
COPY runtime runtime
COPY coordinator coordinator
COPY worker worker
COPY sim sim
COPY bench bench
COPY src src
COPY --from=app /web/dist web/dist
ARG SKEIN_REVISION=none
# Cargo goes by the time of files: what has just come must be younger than what was built in its place.
RUN find protocol runtime coordinator worker src -type f -exec touch {} + \
    && SKEIN_REVISION="$SKEIN_REVISION" cargo build --release --locked --package skein
# A volume takes its owner from the folder in the image that it is mounted on.
RUN mkdir -p /owned/data /owned/secret

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /skein/target/release/skein /usr/local/bin/skein
COPY --from=build --chown=65532:65532 /owned/ /
COPY LICENSE /usr/share/doc/skein/LICENSE
# Reachable from outside of the container, whichever part runs.
ENV SKEIN_HTTP=0.0.0.0:8080
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --start-interval=500ms --retries=3 CMD ["skein", "status"]
ENTRYPOINT ["skein"]
CMD ["up"]
