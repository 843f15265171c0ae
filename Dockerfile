# posebench on CPUs:
#   docker build -t posebench .
#   docker run --rm -v "$PWD:/data" -v posebench:/cache posebench eval model.pth --dataset synthetic
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir "uv>=0.8,<1"
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY suites suites
COPY posebench posebench
# torch without CUDA, which would be several gigabytes.
ENV UV_TORCH_BACKEND=cpu UV_NO_CACHE=1
RUN uv venv /opt/posebench \
    && uv pip install -p /opt/posebench -c constraints.txt ".[hub,official,onnx,openvino]"

FROM python:3.12-slim
COPY --from=build /opt/posebench /opt/posebench
ENV PATH=/opt/posebench/bin:$PATH POSEBENCH_CACHE=/cache HF_HOME=/cache/huggingface
# Numbered, so that an orchestrator sees that it is not root.
RUN useradd --uid 1000 --create-home posebench \
    && mkdir /cache /data \
    && chown 1000:1000 /cache /data
USER 1000
WORKDIR /data
VOLUME /cache
ENTRYPOINT ["posebench"]
CMD ["--help"]
