<?php
// Has the server send a file that nobody may ask for.
if (isset($_GET['type'])) {
    header('Content-Type: ' . $_GET['type']);
}
if (isset($_GET['length'])) {  // the file's, which it does not write itself
    header('Content-Length: ' . $_GET['length']);
}
header('Content-Disposition: attachment; filename="it.txt"');
header($_GET['by'] . ': ' . $_GET['file']);
echo 'not this';
