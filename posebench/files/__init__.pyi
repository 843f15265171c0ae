from .cache import (
    cache_directory as cache_directory,
)
from .cache import (
    cached_folder as cached_folder,
)
from .cache import (
    predictions_directory as predictions_directory,
)
from .environment import environment as environment
from .environment import package_version as package_version
from .hashing import code_sha256 as code_sha256
from .hashing import content_key as content_key
from .hashing import sha256_of as sha256_of
from .json_file import read_json as read_json
from .records import (
    mapping_from_record as mapping_from_record,
)
from .records import (
    record_from_mapping as record_from_mapping,
)
from .writing import check_writable as check_writable
from .writing import write_json as write_json
from .writing import write_text as write_text
from .yaml_records import record_from_yaml as record_from_yaml
