# tinct serve on a CPU, with the bundled models, for others on the network: the token is printed when it starts.
#
#     docker build -t tinct .       # smaller by gigabytes with the options for a CPU that https://pytorch.org/get-started/locally
#                                   # shows for pip: --build-arg TORCH_OPTIONS="--index-url ..."
#     docker run --rm -p 8000:8000 tinct
FROM python:3.11-slim

WORKDIR /opt/tinct
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt setuptools
ARG TORCH_OPTIONS=""
RUN pip install --no-cache-dir -c constraints.txt $TORCH_OPTIONS torch
RUN pip install --no-cache-dir -c constraints.txt --no-build-isolation '.[app]'

RUN useradd --create-home tinct
USER tinct
WORKDIR /home/tinct
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["tinct", "serve", "--host", "0.0.0.0"]
