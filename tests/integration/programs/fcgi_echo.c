/* tests/integration/programs/fcgi_echo.c: a program as users of libfcgi write them: says what it was asked, and
   the body. Serves on descriptor 0, or on the Unix socket that is its argument. */
#include <fcgi_stdio.h>

#include <fcgiapp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char** words) {
    static char body[1 << 16];
    if (count > 1) {
        umask(0);
        if (dup2(FCGX_OpenSocket(words[1], 128), 0) != 0) return 1;
    }
    while (FCGI_Accept() >= 0) {
        const char* length = getenv("CONTENT_LENGTH");
        const char* info = getenv("PATH_INFO");
        size_t left = length != NULL ? strtoul(length, NULL, 10) : 0;
        printf("Content-Type: text/plain\r\n\r\n%s %s %s\n", getenv("REQUEST_METHOD"), info != NULL ? info : "-",
               getenv("QUERY_STRING"));
        while (left > 0) {
            const size_t got = fread(body, 1, left < sizeof body ? left : sizeof body, stdin);
            if (got == 0) break;
            fwrite(body, 1, got, stdout);
            left -= got;
        }
        if (info != NULL && strcmp(info, "/aside") == 0) fprintf(stderr, "missing: %lu bytes\n", (unsigned long)left);
    }
    return 0;
}
