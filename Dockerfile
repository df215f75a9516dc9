# tinct serve on a CPU, with the bundled models, for others on the network: the token is printed when it starts.
#
#     docker build -t tinct .
#     docker run --rm -p 8000:8000 tinct
FROM python:3.11-slim

WORKDIR /opt/tinct
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt setuptools
RUN pip install --no-cache-dir -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir -c constraints.txt --no-build-isolation '.[app]'

RUN useradd --create-home tinct
USER tinct
WORKDIR /home/tinct
EXPOSE 8000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
CMD ["tinct", "serve", "--host", "0.0.0.0"]
