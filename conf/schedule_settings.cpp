// conf/schedule_settings.cpp: the rows of [schedule NAME].
#include "conf/http_types.h"
#include "conf/queue_types.h"
#include "conf/schedule_types.h"
#include "conf/settings.h"
#include "conf/types.h"

namespace conf {

const Settings<Schedule>& schedule_settings() {
    using Missed = Schedule::Missed;
    static const Settings<Schedule> rows{
        scalar<Schedule>("cron", &Schedule::cron, CronType{},
                         "`*/5 * * * *`: minute, hour, day of the month, month, day of the week; or @hourly"),
        scalar<Schedule>("every", &Schedule::every, EveryType{},
                         "instead of cron: at the multiples of this time, 1s to 366d"),
        scalar<Schedule>("timezone", &Schedule::timezone, ZoneType{},
                         "of cron: a name of the IANA's, Europe/Berlin"),
        scalar<Schedule>("queue", &Schedule::queue, SectionName{}, "the queue that its jobs are of"),
        scalar<Schedule>("body", &Schedule::body, BodyText{}, "of each job; unset: empty"),
        scalar<Schedule>("body_file", &Schedule::body_file, Path{},
                         "instead: a file, which is read when a keeper begins"),
        scalar<Schedule>("content_type", &Schedule::content_type, PrintableText{},
                         "of the body; unset: none"),
        scalar<Schedule>("key", &Schedule::key, PrintableText{}, "as Job-Key; unset: none"),
        scalar<Schedule>("priority", &Schedule::priority, Optional<PriorityType>{},
                         "-100 to 100; as in its queue unless set"),
        scalar<Schedule>(
            "missed", &Schedule::missed,
            Choice<Missed>{{{"skip", Missed::skip}, {"once", Missed::once}, {"all", Missed::all}}},
            "runs whose time passed while nothing could run them: skip, once (the last one), all (1000)"),
    };
    return rows;
}

}  // namespace conf
