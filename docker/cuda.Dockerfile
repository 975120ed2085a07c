# Quire on an NVIDIA GPU. Build at the root of the checkout: docker build -f docker/cuda.Dockerfile -t quire-cuda .
# Then: docker run --gpus all -p 8000:8000 -v quire-models:/cache quire-cuda
# The image holds no CUDA: the library links what it needs, and the driver (CUDA 13.0 or newer) is the host's.
FROM eclipse-temurin:25-jdk AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends maven g++ python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /quire
COPY kernels/src/main/native/cuda/toolchain.* kernels/src/main/native/cuda/
RUN sh kernels/src/main/native/cuda/toolchain.sh
COPY . /quire
# The library goes where the jar of the kernels is packed from.
RUN toolkit="$(sh kernels/src/main/native/cuda/toolchain.sh)" \
    && NVCC="$toolkit/bin/nvcc" NVCC_APPEND_FLAGS="-L$toolkit/lib" sh kernels/src/main/native/cuda/build.sh \
        kernels/target/cuda kernels/target/classes/META-INF/native/linux-x86_64
RUN mvn -q -B package dependency:copy-dependencies -Dmaven.test.skip=true -Dspotless.check.skip \
        -DincludeScope=runtime -DoutputDirectory=/quire/target/lib \
    && cp server/target/quire-*.jar target/lib/
RUN sh docker/runtime.sh /runtime && mkdir -p /cache

FROM debian:13-slim
RUN useradd --system --uid 10001 --home-dir /cache quire
COPY --from=build /runtime /opt/java
COPY --from=build /quire/target/lib /opt/quire/lib
COPY --from=build --chown=10001 /cache /cache
COPY docker/health.sh /opt/quire/
# A number, so that Kubernetes can see that it is not root.
USER 10001
ENV XDG_CACHE_HOME=/cache NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
VOLUME /cache
EXPOSE 8000
HEALTHCHECK --start-period=5m --interval=10s --timeout=5s CMD ["bash", "/opt/quire/health.sh"]
ENTRYPOINT ["/opt/java/bin/java", "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", \
    "-Xmx1g", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-cp", "/opt/quire/lib/*", "dev.quire.server.Main", "serve", \
    "--host", "0.0.0.0", "--device", "cuda"]
