<?php
// Statuses, validators and fields on request.
if (isset($_GET['location'])) {
    header('Location: ' . $_GET['location'], true, (int) ($_GET['status'] ?? 302));
    exit;
}
if (isset($_GET['etag'])) {
    header('ETag: "' . $_GET['etag'] . '"');
    if (($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === '"' . $_GET['etag'] . '"') {
        http_response_code(304);
        exit;
    }
}
http_response_code((int) ($_GET['status'] ?? 200));
setcookie('a', '1');
setcookie('b', '2');
echo 'answered';
