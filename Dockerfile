# The hub as a container: libraries by hash in the first stage, only what runs in the second, no root.
# Configuration and keys come in read-only, data stays on a volume, secrets and STAFETTHUB_KEY_FILE come from hub.env:
#   docker run -v "$PWD/config:/srv/stafetthub/config:ro" -v "$PWD/keys:/run/keys:ro" \
#     -v stafetthub:/var/lib/stafetthub --env-file hub.env stafetthub
# That is everything in one. On PostgreSQL the same image may run apart, with the same volume and any number of each:
#   docker run … stafetthub scheduler      docker run … stafetthub worker --workers 8
# A stop takes up to ten seconds: docker stop --timeout 15, or stop_grace_period: 15s.

FROM python:3.11-slim-bookworm AS libraries
COPY requirements.txt /
RUN python -m venv /opt/stafetthub \
 && /opt/stafetthub/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r /requirements.txt \
 && printf '#!/opt/stafetthub/bin/python\nfrom hub.cli import main\nmain()\n' > /opt/stafetthub/bin/hub \
 && chmod 755 /opt/stafetthub/bin/hub

FROM python:3.11-slim-bookworm
COPY --from=libraries /opt/stafetthub /opt/stafetthub
COPY hub /srv/stafetthub/hub
COPY LICENSE /srv/stafetthub/
RUN useradd --system --uid 10001 --user-group --no-create-home stafetthub \
 && install -d -o stafetthub -g stafetthub -m 700 /var/lib/stafetthub
ENV PATH=/opt/stafetthub/bin:$PATH \
    PYTHONPATH=/srv/stafetthub \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STAFETTHUB_DATA=/var/lib/stafetthub
WORKDIR /srv/stafetthub
USER stafetthub
VOLUME /var/lib/stafetthub
HEALTHCHECK --interval=60s --timeout=10s --start-period=30s CMD ["hub", "status", "--health"]
ENTRYPOINT ["hub"]
CMD ["run"]
