# The part of oss2 that is used here, by its documented names and by what the source of 2.19 does.

from oss2 import credentials as credentials
from oss2 import defaults as defaults
from oss2 import exceptions as exceptions
from oss2 import http as http
from oss2 import models as models
from oss2 import utils as utils
from oss2.api import Bucket as Bucket
from oss2.auth import AnonymousAuth as AnonymousAuth
from oss2.auth import Auth as Auth
from oss2.auth import AuthBase as AuthBase
from oss2.auth import AuthV4 as AuthV4
from oss2.auth import ProviderAuth as ProviderAuth
from oss2.auth import ProviderAuthV4 as ProviderAuthV4
from oss2.auth import StsAuth as StsAuth
from oss2.crypto_bucket import CryptoBucket as CryptoBucket
from oss2.http import Session as Session

__version__: str
