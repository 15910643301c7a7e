// Sends a scan to `bedside serve`, follows it, and writes the label map. Needs libcurl alone.
//
//     g++ -std=c++17 -O2 segment.cpp -o segment -lcurl
//     ./segment http://127.0.0.1:8650 ct.nii.gz labels.nii.gz
//
// A token is read from BEDSIDE_TOKEN. Exit codes are those of `bedside segment`.

#include <curl/curl.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

namespace {

constexpr int kInput = 3, kResource = 5, kReview = 6;
constexpr int kTries = 30;

struct Answer {
  long status = 0;
  long retry_seconds = 0;
  std::string body;
};

struct Failed {
  int code;
  std::string message;
};

// The value of a field in the service's JSON. Its answers are flat where it matters here, so that no library is needed;
// a program with a JSON library uses that.
std::string field(const std::string& json, const std::string& name) {
  const auto key = json.find('"' + name + "\":");
  if (key == std::string::npos) return {};
  auto at = key + name.size() + 3;
  if (json[at] != '"') return json.substr(at, json.find_first_of(",}", at) - at);
  std::string text;
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
    text += json[at];
  }
  return text;
}

class Service {
 public:
  explicit Service(std::string url) : url_(std::move(url)) {
    if (url_.empty() || url_.back() != '/') url_ += '/';
    headers_ = curl_slist_append(nullptr, "Content-Type: application/octet-stream");
    if (const char* token = std::getenv("BEDSIDE_TOKEN")) {
      headers_ = curl_slist_append(headers_, ("Authorization: Bearer " + std::string(token)).c_str());
    }
  }
  ~Service() { curl_slist_free_all(headers_); }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // POSTs a file, which is read as it is sent.
  Answer post(const std::string& path, const std::filesystem::path& file) const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> body(std::fopen(file.c_str(), "rb"), &std::fclose);
    if (!body) throw Failed{kInput, "cannot read the scan"};
    const auto size = static_cast<curl_off_t>(std::filesystem::file_size(file));
    return request(path, [&](CURL* curl) {
      curl_easy_setopt(curl, CURLOPT_POST, 1L);
      curl_easy_setopt(curl, CURLOPT_READDATA, body.get());
      curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, size);
    });
  }

  Answer get(const std::string& path) const {
    return request(path, [](CURL*) {});
  }

  Answer remove(const std::string& path) const {
    return request(path, [](CURL* curl) { curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE"); });
  }

  // GETs server-sent events; calls `event` with the data of each.
  void events(const std::string& path, const std::function<void(const std::string&)>& event) const {
    std::string rest;
    Lines lines{rest, event};
    request(path, [&](CURL* curl) {
      curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Lines::take);
      curl_easy_setopt(curl, CURLOPT_WRITEDATA, &lines);
    });
  }

 private:
  struct Lines {
    std::string& rest;
    const std::function<void(const std::string&)>& event;

    static size_t take(char* data, size_t, size_t count, void* self) {
      auto& [rest, event] = *static_cast<Lines*>(self);
      rest.append(data, count);
      for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
        if (rest.rfind("data: ", 0) == 0) event(rest.substr(6, end - 6));
        rest.erase(0, end + 1);
      }
      return count;
    }
  };

  static size_t append(char* data, size_t, size_t count, void* text) {
    static_cast<std::string*>(text)->append(data, count);
    return count;
  }

  Answer request(const std::string& path, const std::function<void(CURL*)>& prepare) const {
    const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), &curl_easy_cleanup);
    if (!curl) throw Failed{kResource, "libcurl has no memory"};
    Answer answer;
    curl_easy_setopt(curl.get(), CURLOPT_URL, (url_ + path).c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &append);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
    prepare(curl.get());
    const CURLcode code = curl_easy_perform(curl.get());
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    if (code != CURLE_OK && answer.status == 0) throw Failed{kResource, curl_easy_strerror(code)};
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RETRY_AFTER, &seconds);
    answer.retry_seconds = static_cast<long>(seconds);
    return answer;
  }

  std::string url_;
  curl_slist* headers_ = nullptr;
};

Failed refusal(const Answer& answer) {
  const std::string code = field(answer.body, "code");
  return {code.empty() ? kResource : std::stoi(code), field(answer.body, "message")};
}

// Posts the scan; waits where the service has no memory or no place for it now.
std::string accepted(const Service& service, const std::filesystem::path& scan) {
  for (int attempt = 1;; ++attempt) {
    const Answer answer = service.post("api/v1/jobs", scan);
    if (answer.status == 202) return field(answer.body, "id");
    if (answer.status != 503 || attempt == kTries) throw refusal(answer);
    std::this_thread::sleep_for(std::chrono::seconds(answer.retry_seconds));
  }
}

int segment(const Service& service, const std::filesystem::path& scan, const std::filesystem::path& output) {
  const std::string job = "api/v1/jobs/" + accepted(service, scan);
  std::string outcome;
  service.events(job + "/events", [&](const std::string& event) {
    outcome = event;
    if (field(event, "state") == "running") std::cerr << field(event, "done") << " of " << field(event, "total") << "\r";
  });
  std::cerr << "\n";
  if (field(outcome, "state") != "done") {
    const Answer now = service.get(job);
    service.remove(job);
    throw Failed{std::stoi("0" + field(now.body, "code")), field(now.body, "message")};
  }
  const Answer labels = service.get(job + "/labels");
  if (labels.status != 200) throw refusal(labels);
  const auto part = std::filesystem::path(output).concat(".part");
  std::ofstream file(part, std::ios::binary);
  file.write(labels.body.data(), static_cast<std::streamsize>(labels.body.size()));
  file.close();
  if (!file) throw Failed{kResource, "cannot write the label map"};
  std::filesystem::rename(part, output);  // a whole file or none
  std::cout << service.get(job + "/volumes").body << "\n";
  service.remove(job);
  return field(outcome, "needs_review") == "true" ? kReview : 0;
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: segment URL SCAN LABELS\n";
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int code = 0;
  try {
    code = segment(Service(words[1]), words[2], words[3]);
  } catch (const Failed& failed) {
    std::cerr << "segment: " << failed.message << "\n";
    code = failed.code;
  } catch (const std::exception& error) {
    std::cerr << "segment: " << error.what() << "\n";
    code = kResource;
  }
  curl_global_cleanup();
  return code;
}
