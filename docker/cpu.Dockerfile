# Quire on CPUs. Build at the root of the checkout: docker build -f docker/cpu.Dockerfile -t quire .
# Then: docker run -p 8000:8000 -v quire-models:/cache quire
# The default model is fetched at the first start and kept in /cache; --build-arg BAKE_MODEL=yes puts it into the image.
FROM eclipse-temurin:25-jdk AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends maven g++ python3-pip \
    && rm -rf /var/lib/apt/lists/*
COPY . /quire
WORKDIR /quire
RUN mvn -q -B package dependency:copy-dependencies -Dmaven.test.skip=true -Dspotless.check.skip \
        -DincludeScope=runtime -DoutputDirectory=/quire/target/lib \
    && cp server/target/quire-*.jar target/lib/
RUN sh docker/runtime.sh /runtime
ARG BAKE_MODEL=no
ENV XDG_CACHE_HOME=/cache
RUN mkdir -p /cache \
    && if [ "$BAKE_MODEL" = yes ]; then java -cp 'target/lib/*' dev.quire.server.Main fetch default; fi

FROM debian:13-slim
RUN useradd --system --uid 10001 --home-dir /cache quire
COPY --from=build /runtime /opt/java
COPY --from=build /quire/target/lib /opt/quire/lib
COPY --from=build --chown=10001 /cache /cache
COPY docker/health.sh /opt/quire/
# A number, so that Kubernetes can see that it is not root.
USER 10001
ENV XDG_CACHE_HOME=/cache
VOLUME /cache
EXPOSE 8000
HEALTHCHECK --start-period=5m --interval=10s --timeout=5s CMD ["bash", "/opt/quire/health.sh"]
ENTRYPOINT ["/opt/java/bin/java", "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow", \
    "-Xmx1g", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1", "-cp", "/opt/quire/lib/*", "dev.quire.server.Main", "serve", \
    "--host", "0.0.0.0"]
