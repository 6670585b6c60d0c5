# Two images: `cpu` (slim; runs the benchmark) and `tensorrt` (the same project on NVIDIA's base).
#   docker build --target cpu --tag fer-engine:cpu .
#   docker build --target tensorrt --tag fer-engine:tensorrt .   then: docker run --gpus all ...

ARG PYTHON_TAG=3.13-slim-bookworm
# Ubuntu 24.04, Python 3.12, CUDA 13.0 and TensorRT 10.13 with its Python bindings; the driver must be r580 or
# later. Other releases: https://docs.nvidia.com/deeplearning/frameworks/support-matrix/index.html
ARG TENSORRT_TAG=25.10-py3

FROM python:${PYTHON_TAG} AS cpu
# OpenCV's wheel loads libGL and GLib even where nothing is shown; make runs the same steps as outside.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1=1.6.* libglib2.0-0=2.74.* make=4.3-* \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/fer-engine
COPY . .
# PyTorch's own index has the CPU builds; without it the image would carry CUDA libraries.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN make install && useradd --create-home --uid 10001 fer && chown --recursive fer /opt/fer-engine
USER 10001
ENTRYPOINT ["make"]
CMD ["demo"]

FROM nvcr.io/nvidia/tensorrt:${TENSORRT_TAG} AS tensorrt
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1=1.7.* libglib2.0-0t64=2.80.* make=4.3-* python3-venv=3.12.* \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/fer-engine
COPY . .
# TensorRT is the base image's own: the environment sees the system's packages and installs none of it.
RUN python3 -m venv --system-site-packages .venv \
    && make install \
    && .venv/bin/python -m pip install --no-cache-dir --constraint constraints.txt 'cuda-bindings<14' \
    && useradd --create-home --uid 10001 fer \
    && chown --recursive fer /opt/fer-engine
USER 10001
ENTRYPOINT ["make"]
CMD ["demo"]
