# JSON for Modern C++.
set(JSON_BuildTests OFF)
FetchContent_Declare(nlohmann_json
  # SHA-256 as stated on the project's release page.
  URL https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
  URL_HASH SHA256=d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d
  DOWNLOAD_EXTRACT_TIMESTAMP OFF
  SYSTEM
  FIND_PACKAGE_ARGS 3.10 CONFIG GLOBAL)
FetchContent_MakeAvailable(nlohmann_json)
