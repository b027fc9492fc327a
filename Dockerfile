# syntax=docker/dockerfile:1
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY rollout rollout
COPY analysis analysis
COPY crds crds
# What the lock file says, and nothing else; no compiler and no uv in the image that runs.
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9 \
 && UV_PROJECT_ENVIRONMENT=/opt/coalmine uv sync --frozen --no-dev --no-editable --extra kustomize --no-cache

FROM python:3.13-slim-bookworm
# git fetches and pushes; the OpenSSH client signs commits. Each build wants their security updates, so no version is pinned.
# hadolint ignore=DL3008
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
