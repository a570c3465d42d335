<?php
// `bytes` of text that does not repeat itself soon.
header('Content-Type: application/octet-stream');
$left = (int) ($_GET['bytes'] ?? 0);
if (isset($_GET['length'])) {
    header('Content-Length: ' . $left);
}
for ($i = 0; $left > 0; ++$i) {
    $block = substr(str_repeat(hash('sha256', (string) $i), 128), 0, $left);
    echo $block;
    $left -= strlen($block);
}
