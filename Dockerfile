# frbias in a container, for the CPU:      docker build -t frbias .
# for CUDA, with the index of its release: docker build -t frbias --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
# run it:                                  docker run --rm -v "$PWD:/work" frbias demo --out demo-out
FROM python:3.11-slim-bookworm

# what OpenCV's wheel needs of the system; changes least, so it comes first
RUN apt-get update \
    && apt-get install --no-install-recommends -y libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/frbias
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# torch alone is most of the image; a change of anything else does not load it anew
COPY constraints.txt ./
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' constraints.txt)"

# the other libraries, with an empty package in place of frbias
COPY pyproject.toml README.md LICENSE ./
RUN mkdir frbias && touch frbias/__init__.py && pip install -c constraints.txt . && rm -rf frbias build

# frbias itself, which changes most
COPY frbias frbias
RUN pip install --no-deps . && rm -rf build

# faces are personal data: nobody else's user, and a data root that a volume can be mounted on
RUN useradd --create-home --uid 1000 frbias && mkdir /data && chown frbias /data
ENV FRBIAS_HOME=/data
USER frbias
WORKDIR /work
ENTRYPOINT ["frbias"]
CMD ["--help"]
