"""Every stage and every tool by TLS, with passwords and certificates; what is wrong is told."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.certificates import Certificate
from tests.fixtures.pipeline import COMMANDS, Pipeline
from tests.fixtures.postgres import Database, new_database
from tests.fixtures.secured import (
    KAFKA_PASSWORD,
    KAFKA_USER,
    PASSWORD,
    SINK,
    SOURCE,
    SecuredServers,
)
from tests.fixtures.stages import StartStage, plain_environ
from tests.fixtures.waiting import eventually

SECONDS = 60
STORE = Path("/etc/ssl/certs/ca-certificates.crt")
SECRETS = (KAFKA_PASSWORD, PASSWORD)
TOOLS = (
    ["bemi-producer", "status", "--json"],
    ["bemi-producer", "doctor", "--json"],
    ["bemi-stitcher", "restitch"],
    ["bemi-sink", "replay"],
    ["bemi-sink", "verify"],
)


@pytest.fixture
def secured_database(secured_servers: SecuredServers) -> Iterator[Database]:
    """Make an empty database of the server that is shut in."""
    with new_database(secured_servers.postgres) as made:
        yield made


@pytest.fixture
def secured(
    secured_servers: SecuredServers,
    secured_database: Database,
    topic_prefix: str,
    start_stage: StartStage,
    tmp_path: Path,
) -> Pipeline:
    """Give a pipeline that has what it needs; a test takes something of it away."""
    authority = secured_servers.authority
    client = authority.client(KAFKA_USER)
    environ = secured_database.environ | {
        "BEMI_LOG_LEVEL": "DEBUG",
        "BEMI_TOPIC_PREFIX": topic_prefix,
        "BEMI_PRODUCER_SLOT_NAME": secured_database.name,
        "BEMI_KAFKA_BOOTSTRAP_SERVERS": secured_servers.kafka.bootstrap_servers,
        "BEMI_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "BEMI_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "BEMI_KAFKA_SASL_USERNAME": KAFKA_USER,
        "BEMI_KAFKA_SASL_PASSWORD_FILE": secret(tmp_path / "kafka", KAFKA_PASSWORD),
        "BEMI_KAFKA_SSL_CA_LOCATION": str(authority.file),
        "BEMI_KAFKA_SSL_CERTIFICATE_LOCATION": str(client.certificate),
        "BEMI_KAFKA_SSL_KEY_LOCATION": str(client.key),
        "DB_SSLMODE": "verify-full",
        "DB_SSLROOTCERT": str(authority.file),
    }
    del environ["DB_PASSWORD"]
    password = secret(tmp_path / "database", PASSWORD)
    for prefix, role in (("DB_", SOURCE), ("DESTINATION_DB_", SINK)):
        environ |= {f"{prefix}USER": role, f"{prefix}PASSWORD_FILE": password}
        environ |= certificate_of(prefix, authority.client(role))
    return Pipeline(secured_database, start_stage, environ)


def secret(path: Path, text: str) -> str:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def certificate_of(prefix: str, certificate: Certificate) -> dict[str, str]:
    """Return the settings that show a certificate to a database."""
    return {
        f"{prefix}SSLCERT": str(certificate.certificate),
        f"{prefix}SSLKEY": str(certificate.key),
    }


def run(pipeline: Pipeline, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end."""
    environ = plain_environ() | pipeline.environ
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_the_pipeline_and_its_tools_work_by_tls_with_passwords_and_certificates(
    secured: Pipeline,
) -> None:
    secured.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    secured.execute("INSERT INTO todo VALUES (0, 'there before')")
    # A snapshot has connections of its own.
    secured.environ["BEMI_PRODUCER_SNAPSHOT_MODE"] = "initial"
    secured.start()
    secured.execute("INSERT INTO todo VALUES (1, 'walk')")
    (change,) = secured.wait_for("todo", 1)
    assert change["after"] == {"id": 1, "task": "walk"}

    outputs = []

    def all_is_read() -> None:
        done = run(secured, TOOLS[0])
        assert done.returncode == 0, done.stdout
        assert json.loads(done.stdout)["stitcher_behind"] == 0

    eventually(all_is_read, SECONDS)
    for command in TOOLS[1:]:
        done = run(secured, command)
        outputs.append(done.stdout + done.stderr)
        # The doctor warns of a single broker.
        assert done.returncode == (1 if "doctor" in command else 0), (command, outputs[-1])
    logs = [secured.stages[name].log_path.read_text() for name in COMMANDS]
    for text in (*outputs, *logs):
        assert not any(each in text for each in SECRETS)


def test_a_configuration_of_the_java_client_and_the_mechanism_plain_work_too(
    secured: Pipeline, tmp_path: Path
) -> None:
    environ, database = secured.environ, secured.database
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    (tmp_path / "password").write_text(KAFKA_PASSWORD)
    (tmp_path / "connector.properties").write_text(
        f"""
        topic.prefix={environ["BEMI_TOPIC_PREFIX"]}
        bemi.publish.wal=true
        database.hostname=127.0.0.1
        database.port={environ["DB_PORT"]}
        database.dbname={database.name}
        database.user={SOURCE}
        database.password={PASSWORD}
        database.sslmode=verify-full
        database.sslrootcert={environ["DB_SSLROOTCERT"]}
        database.sslcert={environ["DB_SSLCERT"]}
        database.sslkey={environ["DB_SSLKEY"]}
        slot.name={database.name}
        bootstrap.servers={environ["BEMI_KAFKA_BOOTSTRAP_SERVERS"]}
        producer.override.security.protocol=SASL_SSL
        producer.override.sasl.mechanism=PLAIN
        producer.override.sasl.jaas.config={login} \\
            username="{KAFKA_USER}" password="${{dir:{tmp_path}:password}}";
        producer.override.ssl.truststore.type=PEM
        producer.override.ssl.truststore.location={environ["BEMI_KAFKA_SSL_CA_LOCATION"]}
        producer.override.ssl.keystore.type=PEM
        producer.override.ssl.keystore.location={java_keystore(environ)}
        """
    )
    secured.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    only_file = {"BEMI_PRODUCER_CONFIG_FILE": str(tmp_path / "connector.properties")}
    producer = secured.start_stage("producer", ["bemi-producer"], only_file)
    secured.environ |= {"BEMI_KAFKA_SASL_MECHANISM": "PLAIN"}
    secured.start("stitcher", "sink")
    eventually(lambda: "ready" in producer.output(), SECONDS)
    secured.execute("INSERT INTO todo VALUES (1, 'walk')")
    secured.wait_for("todo", 1)


@pytest.mark.parametrize("place", ["SSL_CERT_FILE", "the system's store"])
def test_where_no_authority_is_named_every_client_trusts_those_of_the_system(
    secured: Pipeline, secured_servers: SecuredServers, tmp_path: Path, place: str
) -> None:
    environ, authority = secured.environ, secured_servers.authority.file
    del environ["BEMI_KAFKA_SSL_CA_LOCATION"]
    environ["DB_SSLROOTCERT"] = "system"
    if place == "SSL_CERT_FILE":
        environ["SSL_CERT_FILE"] = str(authority)
    else:
        secured.wrapper = with_store(tmp_path, authority)
    secured.execute("CREATE TABLE todo (id int PRIMARY KEY, task text)")
    secured.start()
    secured.execute("INSERT INTO todo VALUES (1, 'walk')")
    secured.wait_for("todo", 1)


def with_store(folder: Path, authority: Path) -> list[str]:
    """Return what a command runs in to see another list of authorities, that with this one."""
    unshare = ["unshare", "--mount"]
    is_able = shutil.which("unshare") and subprocess.run([*unshare, "true"], check=False)
    if not is_able or is_able.returncode or not STORE.is_file():
        pytest.skip(f"this system lets nobody put another file in the place of {STORE}")
    store = folder / "store.crt"
    store.write_bytes(STORE.read_bytes() + authority.read_bytes())
    mount = f'mount --bind {store} {STORE} && exec "$@"'
    return [*unshare, "sh", "-c", mount, "sh"]


def java_keystore(environ: dict[str, str]) -> str:
    return environ["BEMI_KAFKA_SSL_KEY_LOCATION"].removesuffix(".key") + ".pem"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("password", "check BEMI_KAFKA_SASL_MECHANISM, BEMI_KAFKA_SASL_USERNAME and"),
        ("authority", "check BEMI_KAFKA_SSL_CA_LOCATION"),
        ("no certificate", "check that BEMI_KAFKA_SSL_CERTIFICATE_LOCATION"),
        ("expired certificate", "check that BEMI_KAFKA_SSL_CERTIFICATE_LOCATION"),
    ],
)
def test_a_stage_that_the_brokers_refuse_ends_and_says_what_to_check(
    secured: Pipeline, secured_servers: SecuredServers, tmp_path: Path, wrong: str, says: str
) -> None:
    environ = secured.environ
    if wrong == "password":
        environ["BEMI_KAFKA_SASL_PASSWORD_FILE"] = secret(tmp_path / "wrong", "another-secret")
    elif wrong == "authority":
        environ["BEMI_KAFKA_SSL_CA_LOCATION"] = str(secured_servers.stranger.file)
    elif wrong == "no certificate":
        del environ["BEMI_KAFKA_SSL_CERTIFICATE_LOCATION"], environ["BEMI_KAFKA_SSL_KEY_LOCATION"]
    else:
        expired = secured_servers.authority.client(KAFKA_USER, is_expired=True)
        environ["BEMI_KAFKA_SSL_CERTIFICATE_LOCATION"] = str(expired.certificate)
        environ["BEMI_KAFKA_SSL_KEY_LOCATION"] = str(expired.key)
    commands = [*COMMANDS.values(), ["bemi-sink", "verify"], ["bemi-stitcher", "restitch"]]
    made = run(secured, ["bemi-sink", "migrate"])
    assert made.returncode == 0, made.stderr
    ends_with_advice(secured, commands, says)
    told = run(secured, ["bemi-producer", "doctor", "--json"])
    assert says in told.stdout


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("password", "check {}USER and {}PASSWORD"),
        ("authority", "must be signed by {}SSLROOTCERT"),
        ("host", "must be signed by {}SSLROOTCERT"),
        ("system's authorities", "must be signed by {}SSLROOTCERT"),
        ("no authorities", "check {}SSLROOTCERT, or SSL_CERT_FILE"),
        ("no certificate", "check {}SSLCERT and {}SSLKEY"),
        ("expired certificate", "check {}SSLCERT and {}SSLKEY"),
        ("no encryption", "check {}SSLMODE"),
    ],
)
@pytest.mark.parametrize(
    ("stage", "prefix", "role"),
    [("producer", "DB_", SOURCE), ("sink", "DESTINATION_DB_", SINK)],
)
def test_a_stage_that_the_database_refuses_ends_and_says_what_to_check(
    secured: Pipeline,
    secured_servers: SecuredServers,
    tmp_path: Path,
    stage: str,
    prefix: str,
    role: str,
    wrong: str,
    says: str,
) -> None:
    environ = secured.environ
    if wrong == "password":
        environ[f"{prefix}PASSWORD_FILE"] = secret(tmp_path / "wrong", "another-secret")
    elif wrong == "authority":
        environ[f"{prefix}SSLROOTCERT"] = str(secured_servers.stranger.file)
    elif wrong == "system's authorities":
        environ[f"{prefix}SSLROOTCERT"] = "system"
    elif wrong == "no authorities":
        environ[f"{prefix}SSLROOTCERT"] = "system"
        environ["SSL_CERT_FILE"] = str(tmp_path / "none")
    elif wrong == "host":
        environ[f"{prefix}HOST"] = "localhost"
    elif wrong == "no certificate":
        environ |= dict.fromkeys((f"{prefix}SSLCERT", f"{prefix}SSLKEY"), str(tmp_path / "none"))
    elif wrong == "expired certificate":
        expired = secured_servers.authority.client(role, is_expired=True)
        environ |= certificate_of(prefix, expired)
    else:
        environ[f"{prefix}SSLMODE"] = "disable"
    ends_with_advice(secured, [COMMANDS[stage]], says.replace("{}", prefix))


def ends_with_advice(pipeline: Pipeline, commands: list[list[str]], says: str) -> None:
    """Assert that each command ends by itself, with a sentence and without a secret."""
    stages = [pipeline.start_stage("-".join(each), each, pipeline.environ) for each in commands]
    for stage in stages:
        assert stage.wait(SECONDS) == 2, stage.output()
        (last,) = stage.output().strip().splitlines()[-1:]
        assert says in last
        log = stage.log_path.read_text()
        assert not any(each in log for each in (*SECRETS, "another-secret"))
