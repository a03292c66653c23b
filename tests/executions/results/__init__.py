"""Results: conversion, pages, statistics, charts, exports."""
