// worker/module/reeve.h: what a module for reeve is written against, and all of it: installed as
// <reeve/module.h>. It needs the standard library alone, and a module links nothing of reeve.
//
//     #include <reeve/module.h>
//
//     reeve::Task<reeve::Response> hello(reeve::Request request, reeve::Context& context) {
//         co_await context.sleep(std::chrono::milliseconds(10));
//         co_return reeve::Response(200, "hello " + request.path + "\n");
//     }
//
//     void load(reeve::Setup& setup) { setup.handler("hello", hello); }
//     REEVE_MODULE(load);
//
// Coroutines run on the event loop of a worker, one of them at a time in each thread: they must never block;
// what blocks goes to `blocking`, what computes long to `compute`. A worker with several loops runs handlers
// in several threads, so what they share must stand that.
//
// When the client leaves, or the route's `timeout` passes, the coroutine is destroyed where it waits: its
// variables are destroyed as at the end of their scope, nothing behind the `co_await` runs, and what it
// waited for is given up. Work that a thread has begun goes on unseen: it must own what it uses.
//
// Jobs (`[queue]`) are asked for by `enqueue`, and done by functions that `Setup::job` registers: coroutines
// as well, in a process of a pool.
//
// With g++ 12 a lambda that is written inside a `co_await` expression is destroyed twice: name it first. What
// takes functions here refuses to compile otherwise.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define REEVE_MODULE_ABI \
    2  // raised with every change that a module which is compiled already would not stand
#define REEVE_MODULE_PUBLIC __attribute__((visibility("default")))

namespace reeve {
inline namespace abi2 {

using std::chrono::milliseconds;

/// What was asked for cannot be had. Where nobody catches it, the client is answered `status`: 503 when there
/// was no room or nobody to ask, 504 when it took too long, 502 when it broke.
class REEVE_MODULE_PUBLIC Failed : public std::runtime_error {
 public:
    Failed(int answer, const std::string& why) : std::runtime_error(why), status_(answer) {}
    [[nodiscard]] int status() const noexcept { return status_; }

 private:
    int status_;
};

/// There is no job, or nobody knows of one; what() says more.
class REEVE_MODULE_PUBLIC NotEnqueued : public Failed {
 public:
    enum class Reason : std::uint8_t {
        none,
        no_queue,       ///< of that name, where this runs
        refused,        ///< the options make no sense, or an idempotency key is missing
        too_large,      ///< the body is more than `job_size_max`
        full,           ///< the queue, and nothing is stored: later there may be room
        unstored,       ///< not known to be stored: with an idempotency key asking again is safe
        other_request,  ///< the idempotency key came with another job before
        in_flight       ///< the first job with that idempotency key is not stored yet
    };
    NotEnqueued(Reason its_reason, const std::string& why)
        : Failed(status_of(its_reason), why), reason_(its_reason) {}
    [[nodiscard]] Reason reason() const noexcept { return reason_; }

 private:
    static int status_of(Reason reason) noexcept {
        switch (reason) {
            case Reason::too_large: return 413;
            case Reason::full:
            case Reason::unstored: return 503;
            case Reason::other_request: return 422;
            case Reason::in_flight: return 409;
            case Reason::none:
            case Reason::no_queue:
            case Reason::refused: break;
        }
        return 500;
    }

    Reason reason_;
};

/// How a job's function says what is to become of a job that it could not do. Whatever else it throws is
/// `later`, but a `Failed` of a status that says that asking again is of no use (4xx, but 408, 425, 429).
class REEVE_MODULE_PUBLIC JobFailed : public Failed {
 public:
    /// Trying again is of no use: it is dead.
    [[nodiscard]] static JobFailed for_good(const std::string& why) { return JobFailed(422, why, {}); }
    /// It is tried again after its queue's `backoff`, unless its attempts are spent.
    [[nodiscard]] static JobFailed later(const std::string& why) { return JobFailed(500, why, {}); }
    /// Likewise, after so long.
    [[nodiscard]] static JobFailed later(const std::string& why, std::chrono::seconds after) {
        return JobFailed(503, why, after);
    }
    /// None: it is not said.
    [[nodiscard]] std::optional<std::chrono::seconds> again_after() const noexcept { return after_; }

 private:
    JobFailed(int answer, const std::string& why, std::optional<std::chrono::seconds> after)
        : Failed(answer, why), after_(after) {}

    std::optional<std::chrono::seconds> after_;
};

struct Field {
    Field() = default;
    Field(std::string its_name, std::string its_value)
        : name(std::move(its_name)), value(std::move(its_value)) {}
    std::string name, value;
};

/// Header fields in order.
class Fields {
 public:
    /// Of the first of that name, in any case; empty: there is none.
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept {
        for (const Field& field : all_)
            if (same(field.name, name)) return field.value;
        return {};
    }
    void add(std::string name, std::string value) { all_.emplace_back(std::move(name), std::move(value)); }
    [[nodiscard]] auto begin() const noexcept { return all_.begin(); }
    [[nodiscard]] auto end() const noexcept { return all_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    void reserve(std::size_t number) { all_.reserve(number); }

 private:
    static char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
    static bool same(std::string_view a, std::string_view b) noexcept {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); ++i)
            if (lower(a[i]) != lower(b[i])) return false;
        return true;
    }

    std::vector<Field> all_;
};

/// What the client asks. All of it is the handler's own.
class Request {
 public:
    Request() = default;

    std::string method;
    std::string target;  ///< as it came: path and query
    std::string path;    ///< decoded, without dot segments
    std::string query;   ///< as it came, without `?`
    std::string host;    ///< without port
    std::string client;  ///< the address
    std::string route;   ///< whose `module` this is
    Fields fields;
    std::string body;  ///< empty for handlers that read it piece by piece
};

/// What the client is answered. Framing, Date and Server are reeve's business.
class Response {
 public:
    Response() = default;
    explicit Response(int its_status) : status(its_status) {}
    Response(int its_status, std::string text, std::string type = "text/plain; charset=utf-8")
        : status(its_status), body(std::move(text)) {
        fields.add("Content-Type", std::move(type));
    }
    Response& add(std::string name, std::string value) {
        fields.add(std::move(name), std::move(value));
        return *this;
    }

    int status = 200;
    Fields fields;
    std::string body;
};

/// What an upstream is asked, by `Context::fetch`.
class Question {
 public:
    Question() = default;
    explicit Question(std::string its_target, std::string its_method = "GET", std::string its_body = {})
        : method(std::move(its_method)), target(std::move(its_target)), body(std::move(its_body)) {}

    std::string method = "GET";
    std::string target = "/";  ///< path and query
    Fields fields;             ///< Host is the upstream's name unless it is here
    std::string body;
    std::size_t answer_max = 8 * 1024 * 1024;  ///< bytes of its body; beyond: 502
};

/// What it answers, whatever the status.
class Answer {
 public:
    Answer() = default;
    int status = 0;
    Fields fields;
    std::string body;
};

/// What a job is, beside its queue and its body. What is not said is the queue's.
class JobOptions {
 public:
    JobOptions() = default;

    std::string type;                                             ///< of its body: Content-Type
    milliseconds delay{0};                                        ///< it runs no sooner than after this
    std::optional<std::chrono::system_clock::time_point> run_at;  ///< or not before this moment
    std::optional<int> priority;                                  ///< -100 to 100, larger ones first
    std::optional<unsigned> attempts;                             ///< 1 to 1000
    std::string key;              ///< which `key_concurrency` counts by; empty: none
    std::string unique;           ///< while a job of the queue has the same, this is that one; empty: none
    std::string idempotency_key;  ///< the same key and the same job again is that one; empty: none
    std::string callback;         ///< a URL; empty: none
};

/// A job that is on the disk.
class Enqueued {
 public:
    Enqueued() = default;
    std::string id;         ///< 36 characters
    bool existing = false;  ///< it was there: by its idempotency key, or `unique`
};

/// One attempt at a job. All of it is the function's own.
class Job {
 public:
    Job() = default;

    std::string id;  ///< the same at each attempt: what to know a job by that was begun before
    std::string queue;
    std::string key;                                 ///< empty: none
    std::string type;                                ///< of its body: Content-Type; empty: none was said
    std::string trace;                               ///< traceparent of who asked for it; empty: none
    unsigned attempt = 1;                            ///< which one this is, from 1
    unsigned attempts = 0;                           ///< how many there may be
    std::chrono::system_clock::time_point enqueued;  ///< when it was asked for
    std::string body;
};

/// What it has come to, for whoever asks: kept up to the queue's `result_max`.
class JobResult {
 public:
    JobResult() = default;
    explicit JobResult(std::string text, std::string its_type = "text/plain; charset=utf-8")
        : body(std::move(text)), type(std::move(its_type)) {}

    std::string body;
    std::string type;
};

enum class Level : std::uint8_t { debug, info, warn, error };

template <class T>
class Task;

namespace detail {

/// Work for a thread.
class Job {
 public:
    virtual ~Job() = default;
    virtual void run() noexcept = 0;
};

/// How a wish ended. A status of 0: well.
struct Outcome {
    int status = 0;
    std::string why;

    void check() const {
        if (status != 0) throw Failed(status, why);
    }
};

/// Why there is no job. `none`: there is one.
struct Refusal {
    NotEnqueued::Reason reason = NotEnqueued::Reason::none;
    std::string why;

    void check() const {
        if (reason != NotEnqueued::Reason::none) throw NotEnqueued(reason, why);
    }
};

class Host;

/// What a coroutine waits for. Lives in its frame, and is given up when that goes.
class Wait {
 public:
    explicit Wait(Host& its_host) noexcept : host(&its_host) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    inline ~Wait();

    Host* host;
    void* work = nullptr;  ///< the server's; null: there is nothing to be given up
    std::coroutine_handle<> waiter;
};

/// The server, as one request sees it. What begins something says whether there is a need to wait for it:
/// then `waiter` is resumed later, from the loop, once `work` is null.
class Host {
 public:
    virtual bool sleep(Wait& wait, milliseconds time) = 0;
    virtual bool fetch(Wait& wait, std::string_view upstream, const Question& question, Answer& answer,
                       Outcome& outcome) = 0;
    virtual bool compute(Wait& wait, std::string_view pool, std::string_view function, std::string_view bytes,
                         std::string& result, Outcome& outcome) = 0;
    virtual bool blocking(Wait& wait, std::string_view pool, const std::shared_ptr<Job>& job,
                          Outcome& outcome) = 0;
    virtual bool read(Wait& wait, std::optional<std::string>& piece) = 0;
    virtual void begin(const Response& head, std::optional<std::uint64_t> length) = 0;
    virtual bool write(Wait& wait, std::string_view bytes) = 0;
    virtual void give_up(Wait& wait) noexcept = 0;
    virtual void log(Level level, std::string_view text) = 0;
    virtual bool enqueue(Wait& wait, std::string_view queue, std::string&& body, const JobOptions& options,
                         Enqueued& job, Refusal& refusal) = 0;

 protected:
    ~Host() = default;
};

/// As an attempt at a job sees it.
class JobHost : public Host {
 public:
    virtual void progress(std::string_view text) = 0;
    virtual bool ending() = 0;

 protected:
    ~JobHost() = default;
};

inline Wait::~Wait() {
    if (work != nullptr) host->give_up(*this);
}

/// Who goes on when a task is over.
class Joint {
 public:
    /// The coroutine to run now.
    virtual std::coroutine_handle<> on_over() noexcept = 0;

 protected:
    ~Joint() = default;
};

class PromiseBase {
 public:
    struct Final {
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> over) const noexcept {
            PromiseBase& promise = over.promise();
            if (promise.joint != nullptr) return promise.joint->on_over();
            return promise.waiter ? promise.waiter : std::noop_coroutine();
        }
        void await_resume() const noexcept {}
    };
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] Final final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { thrown = std::current_exception(); }

    std::coroutine_handle<> waiter;
    Joint* joint = nullptr;
    std::exception_ptr thrown;
};

template <class T>
class Promise : public PromiseBase {
 public:
    [[nodiscard]] Task<T> get_return_object() noexcept;
    template <class U>
    void return_value(U&& given) {
        value.emplace(std::forward<U>(given));
    }
    T take() {
        if (thrown) std::rethrow_exception(thrown);
        return std::move(*value);
    }
    std::optional<T> value;
};

template <>
class Promise<void> : public PromiseBase {
 public:
    [[nodiscard]] Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const {
        if (thrown) std::rethrow_exception(thrown);
    }
};

/// A lambda that is written inside a `co_await` is destroyed twice by g++ 12, unless that means nothing.
template <class Function>
inline constexpr bool is_named =
    std::is_lvalue_reference_v<Function> || std::is_trivially_destructible_v<std::decay_t<Function>>;

}  // namespace detail

/// What a coroutine will return, once it has been awaited: it begins only then. Whoever has it owns the
/// coroutine: destroying it ends that where it waits. To be awaited once.
template <class T = void>
class [[nodiscard]] Task {
 public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() noexcept = default;
    explicit Task(Handle coroutine) noexcept : coroutine_(coroutine) {}
    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&& other) noexcept {
        Task old(std::move(*this));
        coroutine_ = std::exchange(other.coroutine_, nullptr);
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
        coroutine_.promise().waiter = waiter;
        return coroutine_;
    }
    T await_resume() { return coroutine_.promise().take(); }

    [[nodiscard]] Handle coroutine() const noexcept { return coroutine_; }
    [[nodiscard]] bool over() const noexcept { return coroutine_ && coroutine_.done(); }

 private:
    Handle coroutine_;
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

struct Nothing {};
template <class T>
using Held = std::conditional_t<std::is_void_v<T>, Nothing, T>;

class Sleep : public Wait {
 public:
    Sleep(Host& its_host, milliseconds time) noexcept : Wait(its_host), time_(time) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->sleep(*this, time_);
    }
    void await_resume() const noexcept {}

 private:
    milliseconds time_;
};

class Fetch : public Wait {
 public:
    Fetch(Host& its_host, std::string_view upstream, const Question& question)
        : Wait(its_host), upstream_(upstream), question_(question) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->fetch(*this, upstream_, question_, answer_, outcome_);
    }
    Answer await_resume() {
        outcome_.check();
        return std::move(answer_);
    }

 private:
    std::string upstream_;
    Question question_;
    Answer answer_;
    Outcome outcome_;
};

class Compute : public Wait {
 public:
    Compute(Host& its_host, std::string_view pool, std::string_view function, std::string_view bytes)
        : Wait(its_host), pool_(pool), function_(function), bytes_(bytes) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->compute(*this, pool_, function_, bytes_, result_, outcome_);
    }
    std::string await_resume() {
        outcome_.check();
        return std::move(result_);
    }

 private:
    std::string pool_, function_, bytes_, result_;
    Outcome outcome_;
};

template <class Function>
class Work final : public Job {
 public:
    using Result = std::invoke_result_t<Function&>;

    explicit Work(const Function& function) : function_(function) {}
    void run() noexcept override {
        try {
            if constexpr (std::is_void_v<Result>) {
                function_();
                result_.emplace();
            } else {
                result_.emplace(function_());
            }
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }
    Result take() {
        if (thrown_) std::rethrow_exception(thrown_);
        if constexpr (!std::is_void_v<Result>) return std::move(*result_);
    }

 private:
    Function function_;
    std::optional<Held<Result>> result_;
    std::exception_ptr thrown_;
};

template <class Function>
class Blocking : public Wait {
 public:
    Blocking(Host& its_host, std::string_view pool, const Function& function)
        : Wait(its_host), pool_(pool), job_(std::make_shared<Work<Function>>(function)) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->blocking(*this, pool_, job_, outcome_);
    }
    auto await_resume() {
        outcome_.check();
        return job_->take();
    }

 private:
    std::string pool_;
    std::shared_ptr<Work<Function>> job_;
    Outcome outcome_;
};

class Read : public Wait {
 public:
    explicit Read(Host& its_host) noexcept : Wait(its_host) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->read(*this, piece_);
    }
    std::optional<std::string> await_resume() { return std::move(piece_); }

 private:
    std::optional<std::string> piece_;
};

class Write : public Wait {
 public:
    Write(Host& its_host, std::string_view bytes) noexcept : Wait(its_host), bytes_(bytes) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->write(*this, bytes_);
    }
    void await_resume() const noexcept {}

 private:
    std::string_view bytes_;
};

class Enqueue : public Wait {
 public:
    Enqueue(Host& its_host, std::string_view queue, std::string_view body, const JobOptions& options)
        : Wait(its_host), queue_(queue), body_(body), options_(options) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> coroutine) {
        waiter = coroutine;
        return host->enqueue(*this, queue_, std::move(body_), options_, job_, refusal_);
    }
    Enqueued await_resume() {
        refusal_.check();
        return std::move(job_);
    }

 private:
    std::string queue_, body_;
    JobOptions options_;
    Enqueued job_;
    Refusal refusal_;
};

}  // namespace detail

/// What came of one task of `Context::all`: a result, or an exception, or nothing in time.
template <class T>
class Part {
 public:
    Part() = default;

    /// There is a result.
    [[nodiscard]] explicit operator bool() const noexcept { return value_.has_value(); }
    /// The deadline passed first, and the task was ended.
    [[nodiscard]] bool late() const noexcept { return !value_ && !thrown_; }
    /// What was thrown; null: nothing was.
    [[nodiscard]] const std::exception_ptr& thrown() const noexcept { return thrown_; }
    /// The result; throws what the task threw, and `Failed` 504 when it was late.
    [[nodiscard]] T& value() {
        if (thrown_) std::rethrow_exception(thrown_);
        if (!value_) throw Failed(504, "a task was late");
        return *value_;
    }
    [[nodiscard]] T& operator*() noexcept { return *value_; }
    [[nodiscard]] T* operator->() noexcept { return &*value_; }

    void take(Task<T>& task) {
        if (!task.over()) return;
        try {
            value_.emplace(task.await_resume());
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }

 private:
    std::optional<T> value_;
    std::exception_ptr thrown_;
};

namespace detail {

/// Tasks that run side by side: over when all are, or when the time is.
class Side : public Joint {
 public:
    Side(Host& host, std::optional<milliseconds> deadline) noexcept : nap_(host), deadline_(deadline) {}
    Side(const Side&) = delete;
    Side& operator=(const Side&) = delete;

    std::coroutine_handle<> on_over() noexcept final {
        if (--open_ > 0) return std::noop_coroutine();
        return parent_;
    }

 protected:
    ~Side() = default;

    template <class T>
    void start(Task<T>& task) {
        if (!task.coroutine()) return;
        ++open_;
        task.coroutine().promise().joint = this;
        task.coroutine().resume();
    }
    void open(std::coroutine_handle<> parent) noexcept {
        parent_ = parent;
        open_ = 1;  // ours, so that nobody goes on before all have begun
    }
    /// The deadline must not wake who goes on before it, and perhaps waits for something else by then.
    void wait_no_more() noexcept {
        if (nap_.work != nullptr) nap_.host->give_up(nap_);
        nap_.work = nullptr;
    }
    [[nodiscard]] bool wait() {
        if (--open_ == 0) return false;
        nap_.waiter = parent_;
        return !deadline_ || nap_.host->sleep(nap_, *deadline_);
    }

 private:
    Wait nap_;
    std::optional<milliseconds> deadline_;
    std::coroutine_handle<> parent_;
    std::size_t open_ = 0;
};

template <class... T>
class All final : public Side {
 public:
    All(Host& host, std::optional<milliseconds> deadline, Task<T>&&... tasks)
        : Side(host, deadline), tasks_(std::move(tasks)...) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent) {
        open(parent);
        std::apply([this](auto&... task) { (this->start(task), ...); }, tasks_);
        return wait();
    }
    std::tuple<Part<T>...> await_resume() {
        this->wait_no_more();
        std::tuple<Part<T>...> parts;
        take(parts, std::index_sequence_for<T...>());
        return parts;
    }

 private:
    template <std::size_t... I>
    void take(std::tuple<Part<T>...>& parts, std::index_sequence<I...>) {
        (std::get<I>(parts).take(std::get<I>(tasks_)), ...);
        ((std::get<I>(tasks_) = Task<T>()), ...);  // ends those that are late
    }

    std::tuple<Task<T>...> tasks_;
};

template <class T>
class Each final : public Side {
 public:
    Each(Host& host, std::optional<milliseconds> deadline, std::vector<Task<T>>&& tasks)
        : Side(host, deadline), tasks_(std::move(tasks)) {}
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent) {
        open(parent);
        for (auto& task : tasks_) start(task);
        return wait();
    }
    std::vector<Part<T>> await_resume() {
        this->wait_no_more();
        std::vector<Part<T>> parts(tasks_.size());
        for (std::size_t i = 0; i < tasks_.size(); ++i) parts[i].take(tasks_[i]);
        tasks_.clear();  // ends those that are late
        return parts;
    }

 private:
    std::vector<Task<T>> tasks_;
};

}  // namespace detail

/// What a handler may ask of the server. Stays until the handler is over; to be used by it and the tasks that
/// it awaits alone, in the thread that they run in.
class Context {
 public:
    explicit Context(detail::Host& host) noexcept : host_(host) {}
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    [[nodiscard]] auto sleep(milliseconds time) noexcept { return detail::Sleep(host_, time); }

    /// `co_await` gives an `Answer`. Of the [upstream] of that name, with all it has: balancing, kept
    /// connections, retries, breaker; times are the route's.
    [[nodiscard]] auto fetch(std::string_view upstream, const Question& question) {
        return detail::Fetch(host_, upstream, question);
    }

    /// `co_await` gives a std::string: what `function`, which the module of that [pool] has registered, makes
    /// of `bytes` in a process of the pool.
    [[nodiscard]] auto compute(std::string_view pool, std::string_view function, std::string_view bytes) {
        return detail::Compute(host_, pool, function, bytes);
    }

    /// `co_await` gives what `function` returns, or throws what it throws, after it ran in a thread of that
    /// [pool]. A copy of it runs there, and may do so when the handler is long gone: so it has nothing by
    /// reference that is not for ever.
    template <class Function>
    [[nodiscard]] auto blocking(std::string_view pool, Function&& function) {
        static_assert(detail::is_named<Function>,
                      "g++ 12 destroys a lambda inside a co_await twice: give it a name, `auto work = "
                      "[...] {...};`, and pass that");
        return detail::Blocking<std::decay_t<Function>>(host_, pool, function);
    }

    /// `co_await` runs all tasks side by side until the last is over, or the deadline passes: then those that
    /// are not over are ended. Gives a std::tuple of `Part<T>`, one a task.
    template <class... T>
    [[nodiscard]] auto all(milliseconds deadline, Task<T>... tasks) {
        static_assert((!std::is_void_v<T> && ...), "a task of `all` returns something");
        return detail::All<T...>(host_, deadline, std::move(tasks)...);
    }
    /// Likewise, for as long as it takes.
    template <class... T>
    [[nodiscard]] auto all(Task<T>... tasks) {
        static_assert((!std::is_void_v<T> && ...), "a task of `all` returns something");
        return detail::All<T...>(host_, std::nullopt, std::move(tasks)...);
    }
    /// Any number of tasks; gives a std::vector of `Part<T>`.
    template <class T>
    [[nodiscard]] auto all(milliseconds deadline, std::vector<Task<T>> tasks) {
        return detail::Each<T>(host_, deadline, std::move(tasks));
    }

    /// For handlers that were registered with `Body::pieces`: `co_await` gives the next piece of the
    /// request's body; none: that was all. While nobody reads, the client is kept from sending.
    [[nodiscard]] auto read() noexcept { return detail::Read(host_); }

    /// Sends the head of the response, and its body so far. The rest follows by `write`, and with what the
    /// handler returns, of which only the body counts then. Once.
    void begin(const Response& head, std::optional<std::uint64_t> length = std::nullopt) {
        host_.begin(head, length);
    }
    /// `co_await` goes on when the client has taken enough. After `begin`.
    [[nodiscard]] auto write(std::string_view bytes) noexcept { return detail::Write(host_, bytes); }

    /// `co_await` gives an `Enqueued` when the job is on the disk: it will run, whatever dies. Throws
    /// `NotEnqueued`. Whoever is ended while it waits does not undo it: the job may be there or not.
    [[nodiscard]] auto enqueue(std::string_view queue, std::string_view body, const JobOptions& options) {
        return detail::Enqueue(host_, queue, body, options);
    }
    [[nodiscard]] auto enqueue(std::string_view queue, std::string_view body) {
        const JobOptions options;
        return detail::Enqueue(host_, queue, body, options);
    }

    /// Into the server's error log.
    void log(Level level, std::string_view text) { host_.log(level, text); }

 private:
    detail::Host& host_;
};

/// What a job's function may ask for besides; of a request there is nothing to `read`, `begin` or `write`.
class JobContext : public Context {
 public:
    explicit JobContext(detail::JobHost& host) noexcept : Context(host), job_(host) {}

    /// How far it is, in words of its own, up to 1 KiB in one line: whoever asks for the job sees what was
    /// said last, about once a second.
    void progress(std::string_view text) { job_.progress(text); }
    /// The job is cancelled, takes too long, or its process is to leave: nobody wants its result any more.
    /// Who waits by `co_await` is ended there; who computes asks now and then, each millisecond say, and
    /// returns. Who does not is killed, with its process.
    [[nodiscard]] bool ending() { return job_.ending(); }

 private:
    detail::JobHost& job_;
};

using Handler = std::function<Task<Response>(Request, Context&)>;
/// Runs an attempt at a job: it is done when this returns. Throws `JobFailed`, or what it likes. Where the
/// pool is of threads, several run at once.
using JobFunction = std::function<Task<JobResult>(Job, JobContext&)>;
/// Bytes in, bytes out; may take long, and may throw: then `compute` throws `Failed` 500.
using Function = std::function<std::string(std::string_view)>;

/// How a handler gets the request's body.
enum class Body : std::uint8_t {
    whole,  ///< in `Request::body`, and the handler begins when it is here
    pieces  ///< by `Context::read`
};

/// What a module has. Filled by its `load`, once in each process that uses it, before there are threads.
class Setup {
 public:
    struct NamedHandler {
        std::string name;
        Handler handler;
        Body body = Body::whole;
    };
    struct NamedFunction {
        std::string name;
        Function function;
    };
    struct NamedJob {
        std::string name;
        JobFunction function;
    };

    /// For routes that say `module = MODULE/NAME`.
    void handler(std::string name, Handler its, Body body = Body::whole) {
        handlers.push_back(NamedHandler{std::move(name), std::move(its), body});
    }
    /// For `Context::compute`, where the module is that of a pool.
    void compute(std::string name, Function its) {
        functions.push_back(NamedFunction{std::move(name), std::move(its)});
    }
    /// For queues that say `function = NAME`, where the module is that of their pool.
    void job(std::string name, JobFunction its) { jobs.push_back(NamedJob{std::move(name), std::move(its)}); }
    /// `option = NAME=VALUE` of its section; empty: it is not there.
    [[nodiscard]] std::string_view option(std::string_view name) const noexcept {
        for (const Field& field : options)
            if (field.name == name) return field.value;
        return {};
    }
    /// It cannot be used so: the configuration is refused, with these words. An exception that leaves `load`
    /// does the same.
    void refuse(std::string why) { refusal = std::move(why); }

    /// The configuration is only being looked at: nobody will be served by this process, so large data can
    /// stay where they are.
    bool checking = false;

    // For the server.
    std::vector<Field> options;
    std::vector<NamedHandler> handlers;
    std::vector<NamedFunction> functions;
    std::vector<NamedJob> jobs;
    std::string refusal;
};

namespace detail {

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
    return (hash ^ value) * 1099511628211ull;
}

/// What all that passes between server and module is like.
constexpr std::uint64_t layout() {
    std::uint64_t hash = 14695981039346656037ull;
    for (const std::size_t size : {sizeof(void*),
                                   sizeof(std::string),
                                   sizeof(std::string_view),
                                   sizeof(std::vector<Field>),
                                   sizeof(std::shared_ptr<Job>),
                                   sizeof(std::optional<std::string>),
                                   sizeof(Field),
                                   sizeof(Fields),
                                   sizeof(Request),
                                   sizeof(Response),
                                   sizeof(Question),
                                   sizeof(Answer),
                                   sizeof(Outcome),
                                   sizeof(Wait),
                                   sizeof(Promise<Response>),
                                   sizeof(Handler),
                                   sizeof(Function),
                                   sizeof(Setup::NamedHandler),
                                   sizeof(Setup::NamedFunction),
                                   sizeof(Setup),
                                   sizeof(Context),
                                   sizeof(Failed),
                                   sizeof(NotEnqueued),
                                   sizeof(JobFailed),
                                   sizeof(JobOptions),
                                   sizeof(Enqueued),
                                   sizeof(::reeve::Job),
                                   sizeof(JobResult),
                                   sizeof(Refusal),
                                   sizeof(Promise<JobResult>),
                                   sizeof(JobFunction),
                                   sizeof(Setup::NamedJob),
                                   sizeof(JobContext)})
        hash = mix(hash, size);
    return hash;
}

#if !defined(__GLIBCXX__)
#error "modules are written with libstdc++, as reeve is"
#endif
#if defined(_GLIBCXX_DEBUG)
inline constexpr const char* library = "libstdc++ of g++ 5 or later, with _GLIBCXX_DEBUG";
#elif _GLIBCXX_USE_CXX11_ABI
inline constexpr const char* library = "libstdc++ of g++ 5 or later";
#else
inline constexpr const char* library = "libstdc++ with its strings of before g++ 5";
#endif

inline constexpr std::uint32_t magic = 0x76656572;  // "reev"

/// The one symbol of a module, `reeve_module`. Its first fields never change their places, so that any reeve
/// can tell what it cannot load.
struct Descriptor {
    std::uint32_t magic;
    std::uint32_t abi;
    const char* library;
    const char* compiler;
    std::uint64_t layout;
    void (*load)(Setup&);
};

}  // namespace detail
}  // namespace abi2
}  // namespace reeve

/// Once in a module, outside of all namespaces: `load` is a `void(reeve::Setup&)`.
#define REEVE_MODULE(load)                                                                     \
    extern "C" {                                                                               \
    REEVE_MODULE_PUBLIC extern const reeve::detail::Descriptor reeve_module;                   \
    const reeve::detail::Descriptor reeve_module = {reeve::detail::magic,    REEVE_MODULE_ABI, \
                                                    reeve::detail::library,  __VERSION__,      \
                                                    reeve::detail::layout(), &(load)};         \
    }                                                                                          \
    static_assert(true)  // for a semicolon
