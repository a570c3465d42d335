<?php
require __DIR__ . '/lib/page.php';
json(['server' => $_SERVER, 'get' => $_GET, 'body' => file_get_contents('php://input')]);
