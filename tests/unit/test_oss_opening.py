"""How an OSS store is opened, what is taken over from a bucket of the user's, and what is refused by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import oss2
import pytest
import requests
from oss2.credentials import StaticCredentialsProvider
from requests.adapters import HTTPAdapter

from storage_guard.driver import ObjectRef, Refused, Unsupported
from storage_guard_oss import OSSDriver, open_url
from storage_guard_oss.addressing import address_of
from storage_guard_oss.endpoints import endpoint_of
from unit.oss_served import BUCKET, KEY_ID, REGION, SECRET, fresh

HANGZHOU = "oss-cn-hangzhou.aliyuncs.com"
STATIC: dict[str, Any] = {"access_key_id": KEY_ID, "access_key_secret": SECRET}


def opened(url: str = f"oss://{BUCKET}", **options: Any) -> OSSDriver:
    driver, _ = open_url(url, **{**STATIC, **options})
    assert isinstance(driver, OSSDriver)
    return driver


def bucket(endpoint: str = f"https://{HANGZHOU}", **options: Any) -> oss2.Bucket:
    options.setdefault("region", REGION)
    return oss2.Bucket(oss2.AuthV4(KEY_ID, SECRET), endpoint, BUCKET, **options)


@pytest.mark.parametrize(
    ("options", "endpoint"),
    [
        ({"region": "cn-hangzhou"}, f"https://{HANGZHOU}"),
        ({"region": "cn-hangzhou", "internal": True}, "https://oss-cn-hangzhou-internal.aliyuncs.com"),
        ({"endpoint": HANGZHOU}, f"https://{HANGZHOU}"),
        ({"endpoint": f"http://{HANGZHOU}"}, f"http://{HANGZHOU}"),
        ({"endpoint": f"HTTPS://{HANGZHOU.upper()}:443/"}, f"https://{HANGZHOU}"),
        ({"endpoint": "127.0.0.1:9000", "region": "cn-x"}, "https://127.0.0.1:9000"),
        ({"endpoint": "http://localhost:80", "signature": "v1"}, "http://localhost"),
        ({"endpoint": "files.example.com", "region": "us-west-1", "is_cname": True}, "https://files.example.com"),
    ],
)
def test_an_endpoint_without_a_scheme_is_https(options: dict[str, Any], endpoint: str) -> None:
    assert repr(opened(**options)) == f"OSSDriver('oss://{BUCKET}', endpoint='{endpoint}')"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "region= .*or endpoint="),
        ({"endpoint": "127.0.0.1"}, "needs region="),
        ({"endpoint": "oss-accelerate.aliyuncs.com"}, "needs region="),
        ({"endpoint": HANGZHOU, "region": "cn-beijing"}, "in the region cn-hangzhou"),
        ({"region": "oss-cn-hangzhou"}, "like cn-hangzhou"),
        ({"region": "Hangzhou"}, "like cn-hangzhou"),
        ({"endpoint": HANGZHOU, "internal": True}, "internal=True goes with region"),
        ({"endpoint": f"{BUCKET}.{HANGZHOU}"}, "begins with the bucket's name"),
        ({"endpoint": "https://h/path", "region": REGION}, "is a host"),
        ({"endpoint": "https://h?x=1", "region": REGION}, "is a host"),
        ({"endpoint": "ftp://h", "region": REGION}, "want an endpoint"),
        ({"endpoint": "https://h:port", "region": REGION}, "port"),
        ({"endpoint": "", "region": REGION}, "want an endpoint"),
        ({"endpoint": "[::1]:80", "region": REGION}, "want an endpoint"),
        ({"region": REGION, "is_cname": True}, "custom domain"),
        ({"endpoint": "h", "region": REGION, "is_cname": True, "path_style": True}, "exclude each other"),
        ({"region": REGION, "signature": "v2"}, "'v4' or 'v1'"),
        ({"region": REGION, "access_key_secret": None}, "access_key_secret= is missing"),
        ({"region": REGION, "access_key_id": ""}, "access_key_id= is missing"),
        ({"region": REGION, "credentials_provider": StaticCredentialsProvider("a", "b")}, "not both"),
        ({"region": REGION, "connect_timeout_s": 0}, "positive"),
        ({"region": REGION, "connect_timeout_s": "5"}, "positive number of seconds, got '5'"),
        ({"region": REGION, "read_timeout_s": float("inf")}, "positive"),
    ],
)
def test_options_that_do_not_fit_say_what_to_give(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        opened(**options)


def test_a_token_alone_is_no_account() -> None:
    with pytest.raises(ValueError, match="access_key_id= is missing"):
        open_url(f"oss://{BUCKET}", region=REGION, security_token="t0ken")


def test_an_unknown_option_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        opened(region=REGION, retries=3)


@pytest.mark.parametrize("name", ["ab", "a" * 64, "Upper", "under_score", "-a-b", "a-b-", "", "a.b"])
def test_a_bucket_has_a_name_that_oss_takes(name: str) -> None:
    with pytest.raises(ValueError, match="bucket"):
        opened(f"oss://{name}", region=REGION)


@pytest.mark.parametrize("url", ["oss:bucket", "s3://bucket", "oss://bucket?x", "oss://bucket/a#b", "bucket"])
def test_a_url_has_one_form(url: str) -> None:
    with pytest.raises(ValueError, match="want oss://bucket"):
        opened(url, region=REGION)


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="do not belong") as refused:
        opened(f"oss://{KEY_ID}:{SECRET}@{BUCKET}/prefix", region=REGION)
    assert SECRET not in str(refused.value)
    with pytest.raises(ValueError, match="holds no credentials") as refused:
        opened(endpoint=f"https://{KEY_ID}:{SECRET}@{HANGZHOU}")
    assert SECRET not in str(refused.value)


def test_the_prefix_is_decoded() -> None:
    assert open_url(f"oss://{BUCKET}/a%3Fb/c%20d/", region=REGION, **STATIC)[1] == "a?b/c d"


def test_endpoints_of_one_region_are_one_service() -> None:
    public, internal = opened(region=REGION).location, opened(region=REGION, internal=True).location
    assert public.same_service(internal)
    assert public.same_service(OSSDriver(bucket()).location)
    assert not public.same_service(opened(region="cn-beijing").location)
    assert endpoint_of("http://127.0.0.1:80").service != endpoint_of("http://127.0.0.1:81").service
    assert public.url("a b") == f"oss://{BUCKET}/a%20b"


def test_a_custom_domain_is_one_buckets() -> None:
    driver = opened(endpoint="files.example.com", region=REGION, is_cname=True)
    source = ObjectRef(
        opened("oss://another", endpoint="files.example.com", region=REGION, is_cname=True).location, "k"
    )
    with pytest.raises(Unsupported):
        driver.copy_new(source, "k", fresh())


# Pickles and secrets


def test_a_driver_from_a_url_can_be_made_again_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = opened(region=REGION, security_token="t0ken", read_timeout_s=7.0)
    again = pickle.loads(pickle.dumps(driver))
    assert repr(again) == repr(driver)
    assert again.location == driver.location
    assert again.presign("k", 60).partition("?")[0] == driver.presign("k", 60).partition("?")[0]
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", SECRET)
    data = pickle.dumps(open_url(f"oss://{BUCKET}", region=REGION)[0])
    assert SECRET.encode() not in data, "the environment is read where it is made again"
    assert KEY_ID in pickle.loads(data).presign("k", 60)


def test_a_driver_over_ones_own_bucket_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="open_store"):
        pickle.dumps(OSSDriver(bucket()))


def test_nothing_that_is_printed_holds_a_secret() -> None:
    driver = opened(region=REGION, security_token="t0ken")
    proxied = OSSDriver(bucket(proxies={"https": f"http://u:{SECRET}@proxy:1"}))
    parts: list[object] = [driver, proxied, *vars(driver).values(), *vars(proxied).values()]
    parts += [*vars(driver)["_sender"].__dict__.values(), *vars(proxied)["_sender"].__dict__.values()]
    text = "".join(repr(each) for each in parts if not isinstance(each, dict))
    assert SECRET not in text
    assert "t0ken" not in text


# A bucket of the user's


def test_a_bucket_and_its_session_stay_as_they_are() -> None:
    theirs = bucket(session=oss2.Session())
    session = theirs.session.session
    maker: object = vars(theirs)["_make_url"]
    before = dict(vars(theirs)), dict(vars(session)), dict(vars(maker))
    driver = OSSDriver(theirs, connect_timeout_s=3.0)
    driver.presign("k", 10)
    driver.close()
    assert (vars(theirs), vars(session), vars(maker)) == before


class OtherBucket(oss2.Bucket):
    """One whose calls may do anything."""


def _crypto(theirs: oss2.Bucket) -> oss2.Bucket:
    crypto = oss2.CryptoBucket.__new__(oss2.CryptoBucket)
    crypto.__dict__.update(vars(theirs))
    return crypto


def _other(theirs: oss2.Bucket) -> oss2.Bucket:
    return OtherBucket(theirs.auth, theirs.endpoint, theirs.bucket_name, region=REGION)


@pytest.mark.parametrize(("make", "said"), [(_crypto, "CryptoBucket"), (_other, "OtherBucket")])
def test_a_bucket_that_may_do_anything_is_refused(make: Callable[[oss2.Bucket], oss2.Bucket], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        OSSDriver(make(bucket()))


class OwnAuth(oss2.AuthV4):
    """Somebody's."""


_ANY = cast("Any", oss2)


@pytest.mark.parametrize(
    ("auth", "said"),
    [
        (lambda: _ANY.AuthV2(KEY_ID, SECRET), "AuthV2"),
        (lambda: _ANY.ProviderAuthV2(StaticCredentialsProvider(KEY_ID, SECRET)), "ProviderAuthV2"),
        (lambda: oss2.StsAuth(KEY_ID, SECRET, "t0ken", auth_version="v2"), "ProviderAuthV2"),
        (oss2.AnonymousAuth, "AnonymousAuth"),
        (lambda: OwnAuth(KEY_ID, SECRET), "OwnAuth"),
        (object, "object"),
    ],
)
def test_what_signs_otherwise_is_named(auth: Callable[[], Any], said: str) -> None:
    with pytest.raises(TypeError, match=f"signs with {said},"):
        OSSDriver(oss2.Bucket(auth(), f"https://{HANGZHOU}", BUCKET, region=REGION))


def test_a_signature_of_a_region_has_one() -> None:
    with pytest.raises(ValueError, match="needs region="):
        OSSDriver(bucket(region=None))
    with pytest.raises(ValueError, match="no signature has the region"):
        OSSDriver(bucket(region="cn/hangzhou"))
    in_a_box = OSSDriver(bucket(region=None, cloudbox_id="cb-1")).presign("k", 10)
    assert "%2Fcb-1%2Foss-cloudbox%2F" in in_a_box


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"endpoint": f"http://{HANGZHOU.upper()}:8080"},
        {"endpoint": "oss.example.com", "is_path_style": True},
        {"endpoint": "files.example.com", "is_cname": True},
        {"endpoint": "http://127.0.0.1:9000"},
        {"endpoint": "http://127.0.0.1:9000", "is_cname": True},
        {"endpoint": "http://localhost"},
    ],
)
@pytest.mark.parametrize("key", ["", "k", "a/b c/\u00fc+%~*", "../.", "/k", "?x"])
def test_urls_are_those_of_oss2_but_for_how_they_are_written(options: dict[str, Any], key: str) -> None:
    theirs = bucket(**options)
    url: str = vars(theirs)["_make_url"](BUCKET, key)
    assert unquote(address_of(theirs).url(key)) == unquote(url)


@pytest.mark.parametrize("name", ["evil.com/", "a@b", "UPPER", "x"])
def test_another_bucket_is_no_other_host(name: str) -> None:
    with pytest.raises(Refused, match="bucket has"):
        address_of(bucket()).url("k", name)
    assert address_of(bucket()).url("k", "another") == f"https://another.{HANGZHOU}/k"


class OwnAdapter(HTTPAdapter):
    """Somebody's."""


def _change(session: requests.Session, what: str) -> None:
    match what:
        case "verify=False":
            session.verify = False
        case "auth":
            session.auth = ("u", "p")
        case "params":
            session.params = {"x": "1"}
        case "cookies":
            session.cookies.set("a", "b")
        case "hooks":
            session.hooks = {"response": [print]}
        case "OwnAdapter":
            session.mount("https://", OwnAdapter())
        case "max_retries":
            session.mount("https://", HTTPAdapter(max_retries=3))
        case header:
            session.headers[header] = "x"


@pytest.mark.parametrize(
    "what",
    [
        *("verify=False", "auth", "params", "cookies", "hooks", "x-oss-acl", "Host", "OwnAdapter", "max_retries"),
        *("Content-Type", "Transfer-Encoding", "Proxy-Authorization", "Content-Length", "X Y"),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_named(what: str) -> None:
    session = oss2.Session()
    _change(session.session, what)
    with pytest.raises(ValueError, match=what):
        OSSDriver(bucket(session=session))


def test_a_proxy_that_speaks_socks_is_named() -> None:
    session = oss2.Session()
    session.session.proxies = {"all": "socks5://proxy:1"}
    for theirs in (bucket(proxies={"https": "socks5h://proxy:1"}), bucket(session=session)):
        with pytest.raises(ValueError, match="SOCKS"):
            OSSDriver(theirs)


def _settings(driver: OSSDriver) -> Any:
    return vars(driver)["_sender"].settings


def test_what_a_session_says_about_the_way_is_kept() -> None:
    session = oss2.Session()
    session.session.proxies = {"https": "http://last:1"}
    session.session.verify = "/etc/own.pem"
    session.session.cert = ("/etc/c.pem", "/etc/k.pem")
    session.session.trust_env = False
    session.session.headers["X-Team"] = "blue"
    driver = OSSDriver(bucket(session=session, proxies={"https": "http://first:1"}))
    found = _settings(driver)
    assert (found.proxies, found.fallback_proxies) == ({"https": "http://first:1"}, {"https": "http://last:1"})
    assert (found.ca, found.trust_env) == ("/etc/own.pem", False)
    assert (found.client_cert, found.client_key) == ("/etc/c.pem", "/etc/k.pem")
    assert vars(driver)["_sender"].own_headers == {"X-Team": "blue"}


def test_an_app_has_its_name_behind_oss2s() -> None:
    assert _settings(OSSDriver(bucket())).user_agent == f"storage-guard {oss2.http.USER_AGENT}"
    assert _settings(OSSDriver(bucket(app_name="ours"))).user_agent.endswith(")/ours")
    with pytest.raises(ValueError, match="user_agent must be printable ASCII"):
        OSSDriver(bucket(app_name="two\nlines"))


def test_certificates_are_looked_for_where_requests_does(monkeypatch: pytest.MonkeyPatch) -> None:
    session = oss2.Session()
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert _settings(OSSDriver(bucket(session=session))).ca == requests.utils.DEFAULT_CA_BUNDLE_PATH
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, f"/etc/{name}.pem")
        assert _settings(OSSDriver(bucket(session=session))).ca == f"/etc/{name}.pem"
    session.session.trust_env = False
    assert _settings(OSSDriver(bucket(session=session))).ca == requests.utils.DEFAULT_CA_BUNDLE_PATH


@pytest.mark.parametrize(
    ("of_bucket", "given", "found"),
    [
        (None, {}, (10.0, 60.0)),
        (5, {}, (5.0, 5.0)),
        ((3, 4), {}, (3.0, 4.0)),
        ((3, 4), {"read_timeout_s": 9.0}, (3.0, 9.0)),
        (None, {"connect_timeout_s": 2.0}, (2.0, 60.0)),
    ],
)
def test_timeouts_are_those_that_were_given(of_bucket: Any, given: dict[str, Any], found: tuple[float, float]) -> None:
    settings = _settings(OSSDriver(bucket(connect_timeout=of_bucket), **given))
    assert (settings.connect_timeout_s, settings.idle_timeout_s) == found


@pytest.mark.parametrize(
    ("make", "sole"),
    [
        (lambda: opened(region=REGION), True),
        (lambda: opened(endpoint="files.example.com", region=REGION, is_cname=True), False),
        (lambda: opened(endpoint="oss-accelerate.aliyuncs.com", region=REGION), False),
        (lambda: OSSDriver(bucket(proxies={"https": "http://proxy:1"})), False),
        (lambda: OSSDriver(bucket(proxies={"http": "http://proxy:1"})), True),
    ],
)
def test_only_a_direct_way_sends_surely_once(
    make: Callable[[], OSSDriver], sole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert vars(make())["_sender"].route().sole is sole
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    assert not vars(make())["_sender"].route().sole
    monkeypatch.setenv("no_proxy", "aliyuncs.com,example.com")
    assert vars(make())["_sender"].route().sole is sole
