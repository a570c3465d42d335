<?php
require __DIR__ . '/lib/page.php';
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
json(['visits' => $_SESSION['visits']]);
