// Sends a scan to `bedside serve`, follows it, and writes the label map. Needs libcurl alone.
//
//     g++ -std=c++17 -O2 segment.cpp -o segment -lcurl
//     ./segment http://127.0.0.1:8650 ct.nii.gz labels.nii.gz
//
// A token is read from BEDSIDE_TOKEN. Exit codes are those of `bedside segment`. Ctrl-C cancels the upload or the job.

#include <curl/curl.h>

#include <chrono>
#include <csignal>
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

constexpr int kInput = 3, kResource = 5, kInterrupted = 130;
constexpr int kTries = 30;
constexpr long kRefused = 400;  // statuses from here on are refusals, and have a body that says why

volatile std::sig_atomic_t stopped = 0;

// libcurl asks at least once a second whether to give up. A scan that is sent as a whole may have been accepted: then
// its answer is waited for, because nobody else knows which job to remove.
int is_stopped(void*, curl_off_t, curl_off_t, curl_off_t to_send, curl_off_t sent) {
  return stopped && (to_send == 0 || sent < to_send);
}

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

  // DELETEs, also after ctrl-C.
  Answer remove(const std::string& path) const {
    return request(path, [](CURL* curl) {
      curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "DELETE");
      curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 1L);
    });
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
    curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, &is_stopped);
    curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
    prepare(curl.get());
    const CURLcode code = curl_easy_perform(curl.get());
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    if (code == CURLE_ABORTED_BY_CALLBACK) throw Failed{kInterrupted, "cancelled"};
    // A service that refuses may end the connection within the upload; any other answer has to be whole.
    if (code != CURLE_OK && answer.status < kRefused) throw Failed{kResource, curl_easy_strerror(code)};
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

void wait(long seconds) {
  for (long second = 0; second < seconds; ++second) {
    if (stopped) throw Failed{kInterrupted, "cancelled"};
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

// Posts the scan; waits where the service has no memory or no place for it now.
std::string accepted(const Service& service, const std::filesystem::path& scan) {
  for (int attempt = 1;; ++attempt) {
    const Answer answer = service.post("api/v1/jobs", scan);
    if (answer.status == 202) return "api/v1/jobs/" + field(answer.body, "id");
    if (answer.status != 503 || attempt == kTries) throw refusal(answer);
    wait(answer.retry_seconds);
  }
}

// A job of the service; its end cancels it there, and removes its files.
class Job {
 public:
  Job(const Service& service, const std::filesystem::path& scan) : service_(service), path_(accepted(service, scan)) {}
  ~Job() {
    try {
      service_.remove(path_);
    } catch (const Failed& failed) {
      std::cerr << "segment: the job could not be removed from the service: " << failed.message << "\n";
    }
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // Follows it to its end; returns what the service tells of it then.
  std::string outcome() const {
    std::string last;
    const auto show = [&](const std::string& event) {
      last = event;
      if (field(event, "state") == "running") {
        std::cerr << "\r" << field(event, "done") << " of " << field(event, "total") << " windows" << std::flush;
      }
    };
    try {
      service_.events(path_ + "/events", show);
    } catch (const Failed&) {
      std::cerr << "\n";
      throw;
    }
    std::cerr << "\n";
    return last;
  }

  // GETs a part of its result.
  std::string get(const std::string& part) const {
    const Answer answer = service_.get(path_ + "/" + part);
    if (answer.status != 200) throw refusal(answer);
    return answer.body;
  }

 private:
  const Service& service_;
  std::string path_;
};

void save(const std::string& labels, const std::filesystem::path& output) {
  const auto part = std::filesystem::path(output).concat(".part");
  std::ofstream file(part, std::ios::binary);
  file.write(labels.data(), static_cast<std::streamsize>(labels.size()));
  file.close();
  if (!file) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    throw Failed{kResource, "cannot write the label map"};
  }
  std::filesystem::rename(part, output);  // a whole file or none
}

int segment(const Service& service, const std::filesystem::path& scan, const std::filesystem::path& output) {
  const Job job(service, scan);
  const std::string outcome = job.outcome();
  const std::string code = field(outcome, "code"), state = field(outcome, "state");
  if (code.empty() || code == "null") throw Failed{kResource, "the service ended before the job did"};
  if (state != "done") {
    const std::string message = field(outcome, "message");
    throw Failed{std::stoi(code), message.empty() ? state : message};
  }
  save(job.get("labels"), output);
  std::cout << job.get("volumes") << "\n";
  return std::stoi(code);
}

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    std::cerr << "usage: segment URL SCAN LABELS\n";
    return 2;
  }
  std::signal(SIGINT, [](int) { stopped = 1; });
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
