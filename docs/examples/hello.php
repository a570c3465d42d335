<?php
// A PHP page: `run = fastcgi php-cgi`.
header('Content-Type: text/plain');
$name = isset($_GET['name']) ? $_GET['name'] : 'world';
echo "hello $name from PHP\n";
