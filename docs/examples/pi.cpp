// A job in C++, and a handler that asks for it: digits of pi, as many as anybody likes.
//
//   g++ $(pkg-config --cflags reeve) -O2 -shared -o pi.so pi.cpp
//
// `order` asks for a job of the queue `pi`, and answers when that is on the disk; the same number of digits
// is the same job for a day. `digits` does it, in a process of the queue's pool, which has nothing else to do
// meanwhile: it may compute for as long as the queue's `timeout` lets it.
#include <charconv>

#include <reeve/module.h>

namespace {

using reeve::Context;
using reeve::Job;
using reeve::JobContext;
using reeve::JobFailed;
using reeve::JobResult;
using reeve::Request;
using reeve::Response;
using reeve::Task;

constexpr std::size_t digits_max = 100'000;

/// 0: that is no number of digits.
std::size_t number_of(std::string_view text) {
    std::size_t number = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    return failed == std::errc() && end == text.data() + text.size() && number <= digits_max ? number : 0;
}

/// Rabinowitz and Wagon's spigot: digits come one after the other, each from all that is left.
class Spigot {
 public:
    explicit Spigot(std::size_t digits) : rest_(digits * 10 / 3 + 2, 2) {}

    /// The next ones; none, while it is not sure of them.
    std::string next() {
        std::uint64_t carry = 0;
        for (std::size_t i = rest_.size() - 1; i > 0; --i) {
            const std::uint64_t x = 10 * rest_[i] + carry * (i + 1);
            rest_[i] = x % (2 * i + 1);
            carry = x / (2 * i + 1);
        }
        const std::uint64_t x = 10 * rest_[0] + carry;
        rest_[0] = x % 10;
        const std::uint64_t digit = x / 10;
        if (digit == 9) {  // one more may turn all of these over
            ++nines_;
            return {};
        }
        std::string sure;
        if (held_) sure += static_cast<char>('0' + *held_ + (digit == 10 ? 1 : 0));
        sure.append(nines_, digit == 10 ? '0' : '9');
        held_ = digit == 10 ? 0 : static_cast<int>(digit);
        nines_ = 0;
        return sure;
    }

 private:
    std::vector<std::uint64_t> rest_;
    std::optional<int> held_;
    std::size_t nines_ = 0;
};

Task<JobResult> digits(Job job, JobContext& context) {
    const std::size_t number = number_of(job.body);
    if (number == 0) throw JobFailed::for_good("that is no number of digits, 1 to 100000");
    Spigot spigot(number + 10);
    std::string text;
    while (text.size() < number) {
        if (context.ending()) co_return JobResult();  // nobody wants them any more
        const std::size_t before = text.size() * 10 / number;
        text += spigot.next();
        if (text.size() * 10 / number > before)
            context.progress(std::to_string(text.size()) + " of " + std::to_string(number));
    }
    text.resize(number);
    co_return JobResult(text.insert(1, ".") + "\n");
}

Task<Response> order(Request request, Context& context) {
    if (number_of(request.query) == 0) co_return Response(400, "how many digits? /pi?1000\n");
    reeve::JobOptions options;
    options.type = "text/plain";
    options.idempotency_key = "pi " + request.query;
    const reeve::Enqueued job = co_await context.enqueue("pi", request.query, options);
    Response response(202,
                      (job.existing ? "it was asked for before: " : "it is on the disk: ") + job.id + "\n");
    response.add("Location", "/jobs/" + job.id);
    co_return response;
}

void load(reeve::Setup& setup) {
    setup.job("digits", digits);
    setup.handler("order", order);
}

}  // namespace

REEVE_MODULE(load);
