# Google Benchmark, for the kernel benchmarks.
set(BENCHMARK_ENABLE_TESTING OFF)
set(BENCHMARK_ENABLE_INSTALL OFF)
FetchContent_Declare(benchmark
  # SHA-256 as stated in the build files of many projects that pin this release.
  URL https://github.com/google/benchmark/archive/refs/tags/v1.8.3.tar.gz
  URL_HASH SHA256=6bc180a57d23d4d9515519f92b0c83d61b05b5bab188961f36ac7b06b0d9e9ce
  DOWNLOAD_EXTRACT_TIMESTAMP OFF
  SYSTEM
  FIND_PACKAGE_ARGS 1.7 CONFIG GLOBAL)
FetchContent_MakeAvailable(benchmark)
