<?php
// A form with an upload; what was sent is told as JSON.
require __DIR__ . '/lib/page.php';
if ($_SERVER['REQUEST_METHOD'] !== 'POST') {
    page('Form', '<form method=post enctype="multipart/form-data"><input name=title><input type=file name=file><button>Send</button></form>');
    exit;
}
$file = $_FILES['file'] ?? null;
json([
    'title' => $_POST['title'] ?? null,
    'name' => $file['name'] ?? null,
    'size' => $file['size'] ?? null,
    'error' => $file['error'] ?? null,
    'sha1' => $file && $file['error'] === 0 ? sha1_file($file['tmp_name']) : null,
]);
