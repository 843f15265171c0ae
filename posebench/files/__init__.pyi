from .cache import (
    cache_directory as cache_directory,
    cached_folder as cached_folder,
    predictions_directory as predictions_directory,
)
from .environment import environment as environment, package_version as package_version
from .hashing import code_sha256 as code_sha256, content_key as content_key, sha256_of as sha256_of
from .json_file import read_json as read_json
from .records import (
    mapping_from_record as mapping_from_record,
    record_from_mapping as record_from_mapping,
)
from .writing import (
    check_writable as check_writable,
    write_json as write_json,
    write_text as write_text,
)
from .yaml_records import record_from_yaml as record_from_yaml
