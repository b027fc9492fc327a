# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY rollout rollout
COPY analysis analysis
COPY crds crds
RUN python -m venv /opt/coalmine \
 && /opt/coalmine/bin/pip install --no-cache-dir --disable-pip-version-check ".[kustomize]"

FROM python:3.13-slim-bookworm
# git fetches and pushes; the OpenSSH client signs commits.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git openssh-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin coalmine
COPY --from=build /opt/coalmine /opt/coalmine
ENV PATH=/opt/coalmine/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080 8090 9293
ENTRYPOINT ["coalmine"]
CMD ["run", "--bind", "0.0.0.0", "--data-dir", "/tmp/coalmine"]
